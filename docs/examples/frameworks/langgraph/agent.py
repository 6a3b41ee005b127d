"""A LangGraph graph: a model that may call tools, one of which asks before it acts.

cd docs/examples/frameworks/langgraph && runner serve agent:agent
"""

from typing import Any

from langchain_core.tools import tool
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition
from langgraph.types import interrupt
from scripted_model import ScriptedModel


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@tool
def delete_file(path: str) -> str:
    """Delete a file, if the user agrees."""
    # The answer is True, False, or what a person typed: "no" is a text, and so is true.
    if interrupt(f"Delete {path}?") not in (True, "y", "yes"):
        return f"kept {path}"
    return f"deleted {path}"


tools = [add, delete_file]

# The real model goes here, such as `init_chat_model("anthropic:claude-sonnet-4-5")`.
model = ScriptedModel().bind_tools(tools)


async def think(state: MessagesState) -> dict[str, Any]:
    return {"messages": [await model.ainvoke(state["messages"])]}


agent = (
    StateGraph(MessagesState)
    .add_node("think", think)
    .add_node("tools", ToolNode(tools))
    .add_edge(START, "think")
    .add_conditional_edges("think", tools_condition)
    .add_edge("tools", "think")
    .compile()
)

"""A graph that knows names, with a checkpointer; and the same in a function of one's own, wrong."""

from __future__ import annotations

import asyncio
from typing import Any

from langchain_core.messages import AIMessage, HumanMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph

from tests.loadtests.probe_agents import PAUSE_S, answer


async def think(state: MessagesState) -> dict[str, Any]:
    said = [str(one.content) for one in state["messages"] if isinstance(one, HumanMessage)]
    await asyncio.sleep(PAUSE_S)
    return {"messages": [AIMessage(answer(said))]}


graph = (
    StateGraph(MessagesState)
    .add_node("think", think)
    .add_edge(START, "think")
    .compile(checkpointer=InMemorySaver())
)


async def in_one_thread(message: str) -> str:
    """All conversations are one thread of the graph's, and the server knows of none of it."""
    config: Any = {"configurable": {"thread_id": "the only one"}}
    values = await graph.ainvoke({"messages": [HumanMessage(message)]}, config)
    return str(values["messages"][-1].content)

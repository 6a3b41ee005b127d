"""A LangChain agent with tools, one of which a person must approve.

runner serve agent:agent
"""

from langchain.agents import create_agent
from langchain.agents.middleware import HumanInTheLoopMiddleware
from langchain.tools import tool
from scripted_model import ScriptedModel


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@tool
def delete_file(path: str) -> str:
    """Delete a file."""
    return f"deleted {path}"


agent = create_agent(
    # The real model goes here, such as "anthropic:claude-sonnet-4-5".
    ScriptedModel(),
    tools=[add, delete_file],
    system_prompt="You help with files and sums. Be brief.",
    middleware=[HumanInTheLoopMiddleware(interrupt_on={"delete_file": True})],
)

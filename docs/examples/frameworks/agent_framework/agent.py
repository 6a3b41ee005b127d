"""A Microsoft Agent Framework agent: `runner serve agent:agent`."""

from agent_framework import Agent, tool
from scripted_model import ScriptedModel

# The real model goes here: agent_framework.openai.OpenAIChatClient(model="...").
client = ScriptedModel()


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@tool(approval_mode="always_require")
def delete_file(path: str) -> str:
    """Delete a file. A person must approve it."""
    return f"deleted {path}"


agent = Agent(
    client,
    name="assistant",
    instructions="Help with sums and files. Use the tools.",
    tools=[add, delete_file],
)

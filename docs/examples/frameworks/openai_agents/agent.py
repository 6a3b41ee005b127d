"""An agent of the OpenAI Agents SDK that adds, remembers, and asks before it deletes a file.

pip install openai-agents
cd docs/examples/frameworks/openai_agents && runner serve agent:agent
"""

from agents import Agent, function_tool
from scripted_model import ScriptedModel


@function_tool
async def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@function_tool(needs_approval=True)
async def delete_file(path: str) -> str:
    """Delete a file. A person is asked first."""
    return f"deleted {path}"  # A real tool would delete it here.


agent = Agent(
    name="Careful assistant",
    instructions="You are a careful assistant. Use your tools.",
    tools=[add, delete_file],
    model=ScriptedModel(),  # The real model goes here, such as "gpt-5.2".
)

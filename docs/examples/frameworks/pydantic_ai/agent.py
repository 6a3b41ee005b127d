"""An agent of Pydantic AI that adds, remembers, and asks before it deletes a file.

pip install pydantic-ai-slim
cd docs/examples/frameworks/pydantic_ai && runner serve agent:agent
"""

from pydantic_ai import Agent, DeferredToolRequests
from scripted_model import ScriptedModel

agent = Agent(
    ScriptedModel(),  # The real model goes here, such as "anthropic:claude-sonnet-4-5".
    instructions="You are a careful assistant. Use your tools.",
    # A run may end with calls that a person has to approve.
    output_type=[str, DeferredToolRequests],
)


@agent.tool_plain
async def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@agent.tool_plain(requires_approval=True)
async def delete_file(path: str) -> str:
    """Delete a file. A person is asked first."""
    return f"deleted {path}"  # A real tool would delete it here.

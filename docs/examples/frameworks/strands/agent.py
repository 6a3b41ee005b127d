"""A Strands agent with two tools, one of which asks before it does anything."""

from scripted_model import ScriptedModel
from strands import Agent, ToolContext, tool


@tool
async def add(a: int, b: int) -> int:
    """Add two numbers.

    Args:
        a: The first number.
        b: The second number.
    """
    return a + b


@tool(context=True)
async def delete_file(path: str, tool_context: ToolContext) -> str:
    """Delete a file, if the user agrees.

    Args:
        path: The file to delete.
    """
    answer = tool_context.interrupt("delete_file", reason=f"Delete {path}?")
    return f"deleted {path}" if answer in (True, "y", "yes") else f"kept {path}"


agent = Agent(
    # A real one: BedrockModel(model_id="..."), AnthropicModel(...) and others of strands.models.
    model=ScriptedModel(),
    system_prompt="You are a helpful assistant.",
    tools=[add, delete_file],
)

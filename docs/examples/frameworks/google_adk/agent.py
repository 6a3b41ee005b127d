"""A Google ADK agent with two tools, one of which a person must confirm."""

from google.adk.agents import LlmAgent
from google.adk.tools import FunctionTool
from scripted_model import ScriptedModel

# The real model goes here: "gemini-2.5-flash", or google.adk.models.lite_llm.LiteLlm(model="...").
model = ScriptedModel()


async def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


async def delete_file(path: str) -> str:
    """Delete a file. A person must confirm it."""
    return f"deleted {path}"


agent = LlmAgent(
    name="assistant",
    model=model,
    instruction="Help with sums and files. Use the tools.",
    tools=[add, FunctionTool(delete_file, require_confirmation=True)],
)

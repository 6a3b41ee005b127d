"""Try it: `runner serve agent:agent`, in this folder."""

from crewai import Agent
from crewai.tools import tool
from scripted_model import ScriptedModel


@tool("add")
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


agent = Agent(
    role="Assistant",
    goal="Answer questions in a sentence, and add numbers.",
    backstory="You never add numbers yourself: you have a tool for it.",
    tools=[add],
    llm=ScriptedModel(model="scripted"),  # A real one: LLM("openai/gpt-5-mini", stream=True)
)

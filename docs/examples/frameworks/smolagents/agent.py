"""A smolagents agent with one tool.

cd docs/examples/frameworks/smolagents
runner serve agent:agent
"""

from scripted_model import ScriptedModel
from smolagents import ToolCallingAgent, tool


@tool
def add(a: int, b: int) -> int:
    """Add two whole numbers.

    Args:
        a: The first number.
        b: The second number.
    """
    return a + b


agent = ToolCallingAgent(
    tools=[add],
    model=ScriptedModel(),  # A real one: OpenAIModel("gpt-4.1"), InferenceClientModel(), ...
    instructions="Answer in one sentence. Use the tools to calculate.",
    stream_outputs=True,
)

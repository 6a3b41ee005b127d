"""An AutoGen agent with one tool.

cd docs/examples/frameworks/autogen
runner serve agent:agent
"""

from autogen_agentchat.agents import AssistantAgent
from scripted_model import ScriptedModel


def add(a: int, b: int) -> int:
    """Add two whole numbers."""
    return a + b


agent = AssistantAgent(
    "assistant",
    ScriptedModel(),  # A real one: OpenAIChatCompletionClient(model="gpt-4.1"), ...
    tools=[add],
    system_message="Answer in one sentence. Use the tools to calculate.",
    model_client_stream=True,
    reflect_on_tool_use=True,
)

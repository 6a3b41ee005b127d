"""A LlamaIndex agent with one tool.

cd docs/examples/frameworks/llama_index
runner serve agent:agent
"""

from llama_index.core.agent.workflow import FunctionAgent
from scripted_model import ScriptedModel


def add(a: int, b: int) -> int:
    """Add two whole numbers."""
    return a + b


agent = FunctionAgent(
    tools=[add],
    llm=ScriptedModel(),  # A real one: OpenAI("gpt-4.1"), Anthropic("claude-sonnet-4-5"), ...
    system_prompt="Answer in one sentence. Use the tools to calculate.",
)

"""Try it: `runner serve agent:agent`, in this folder."""

import dspy
from scripted_model import ScriptedModel


class Assistant(dspy.Signature):
    """Answer in a sentence. Add numbers with the tool."""

    history: dspy.History = dspy.InputField()
    question: str = dspy.InputField()
    answer: str = dspy.OutputField()


async def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


# A real one: dspy.LM("openai/gpt-5-mini", cache=False)
model = ScriptedModel()
lm = dspy.LM("scripted", engine=model, async_engine=model.for_async, cache=False)
dspy.configure(lm=lm)

agent = dspy.ReAct(Assistant, tools=[add])

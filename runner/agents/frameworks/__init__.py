"""Other people's agents: one module for each framework, recognised by the names of its classes."""

from __future__ import annotations

import inspect
from functools import cache
from importlib import import_module

from runner.agents.frameworks.framework import Framework, Unsupported

NAMES: tuple[str, ...] = (
    "agent_framework",
    "autogen",
    "crewai",
    "dspy",
    "google_adk",
    "langgraph",
    "llama_cpp",
    "llama_index",
    "openai_agents",
    "pydantic_ai",
    "smolagents",
    "strands",
)
"""Their modules, in this package; those of several files are packages."""


MODELS = frozenset({
    ("pydantic_ai.models", "Model"), ("agents.models.interface", "Model"),
    ("strands.models.model", "Model"), ("agent_framework._clients", "BaseChatClient"),
    ("google.adk.models.base_llm", "BaseLlm"), ("llama_index.core.base.llms.base", "BaseLLM"),
    ("autogen_core.models._model_client", "ChatCompletionClient"),
    ("dspy.clients.base_lm", "BaseLM"), ("smolagents.models", "Model"),
})  # fmt: skip
"""What agents are made with. Many have a method by the name of an agent's."""

A_MODEL = "it is a model, and no agent: serve an agent that was made with it."

RESULTS = (
    "pydantic_ai.", "agents.result", "strands.", "langgraph.", "langchain_core.",
    "agent_framework.", "google.adk.", "autogen_", "llama_index.", "crewai.", "smolagents.",
    "dspy.",
)  # fmt: skip
"""Modules whose objects are a framework's result, and nobody's own reply."""


@cache
def frameworks() -> tuple[Framework, ...]:
    """All that are known; none of them is imported."""
    return tuple(import_module(f"{__name__}.{name}").FRAMEWORK for name in NAMES)


def recognise(target: object) -> Framework | None:
    """The framework whose agent this is. Raises Unsupported for what is known not to work."""
    if inspect.isroutine(target) or inspect.isclass(target):
        return None
    names = [(kind.__module__, kind.__qualname__) for kind in type(target).__mro__]
    if not MODELS.isdisjoint(names):
        raise Unsupported(A_MODEL)
    for framework in frameworks():
        for name in names:
            if name in framework.classes:
                return framework
            if name in framework.refused:
                raise Unsupported(framework.refused[name])
    return None

"""Other people's agents: one file for each framework, recognised by the names of its classes."""

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
"""Their modules, in this package."""


@cache
def frameworks() -> tuple[Framework, ...]:
    """All that are known; none of them is imported."""
    return tuple(import_module(f"{__name__}.{name}").FRAMEWORK for name in NAMES)


def recognise(target: object) -> Framework | None:
    """The framework whose agent this is. Raises Unsupported for what is known not to work."""
    if inspect.isroutine(target) or inspect.isclass(target):
        return None
    names = [(kind.__module__, kind.__qualname__) for kind in type(target).__mro__]
    for framework in frameworks():
        for name in names:
            if name in framework.classes:
                return framework
            if name in framework.refused:
                raise Unsupported(framework.refused[name])
    return None

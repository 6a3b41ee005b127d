"""Settings that somebody gave and that have no effect beside the others: they are told.

A bound that bounds nothing is worse than none, for whoever set it relies on it. Only what is
certain is told.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

from runner.agents.base import About
from runner.config.sources import Loaded
from runner.settings import FIELDS, Key, Settings
from strategies import Limits, registry

OF_MEMORY = ("memory_turns", "memory_bytes")
OF_RESTARTS = ("on_restart", "max_attempts")


def without_effect(loaded: Loaded, about: About | None = None) -> list[str]:
    """A note for each setting that was given for nothing; `about` the agent, where it is known."""
    found = [*_of_strategy(loaded.settings), *_of_store(loaded.settings)]
    found += _of_agent(about) if about else []
    given = ((path, loaded.source(path), why) for path, why in found)
    return [
        f"{'.'.join(path)} (from {source}) has no effect: {why}"
        for path, source, why in given
        if source != "default"
    ]


def _of_strategy(settings: Settings) -> Iterator[tuple[Key, str]]:
    name = settings.strategy.name
    used = registry.limits_of(name, per_turn=bool(settings.strategy.per_turn))
    for limit in fields(Limits):
        if limit.name not in used:
            table = "strategy" if ("strategy", limit.name) in FIELDS else "agent"
            yield (table, limit.name), f"the strategy {name!r} has no such limit"


def _of_store(settings: Settings) -> Iterator[tuple[Key, str]]:
    in_memory = settings.store.url == "memory:"
    why = "nothing in memory: survives a restart" if in_memory else "it is for the store memory:"
    for key in OF_RESTARTS if in_memory else OF_MEMORY:
        yield ("store", key), why


def _of_agent(about: About) -> Iterator[tuple[Key, str]]:
    if not about.uses_threads:
        yield ("agent", "threads"), "the agent is async and runs in no thread"
    if not about.wants_history:
        yield ("agent", "history_turns"), "the agent takes no history"
    if not about.state_form:
        yield ("agent", "max_state_bytes"), "the agent has no state"
    if about.one_at_a_time:
        yield ("strategy", "max_running"), "the agent answers one turn at a time"

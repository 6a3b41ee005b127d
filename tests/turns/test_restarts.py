"""Thousands of seeded lives in virtual time: kills, restarts, keys, cancelling, deadlines."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog

from runner.store.base import Ending
from runner.turns import ending as endings
from runner.turns.journal import Journal
from runner.turns.keys import Keys
from runner.turns.live_turn import LiveTurn
from strategies import Turn
from strategies.registry import BUILT_IN, Factory
from tests.turns.world import World


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.reset_defaults()


def explore(seeds: range, strategy: Factory) -> None:
    for seed in seeds:
        faults = World(seed, strategy).run()
        assert not faults, f"seed {seed} of {strategy}: {faults}"


@pytest.mark.parametrize("strategy", BUILT_IN.values(), ids=BUILT_IN.keys())
def test_every_promised_turn_has_one_outcome_through_all_lives(strategy: Factory) -> None:
    """I-8, I-18, I-19, I-26

    3,000 for the default and 1,000 for the others: what is tried is less the strategy than what
    is kept of its turns, and of the faults below each is found within ten.
    """
    explore(range(3_000 if strategy is BUILT_IN["queue"] else 1_000), strategy)


# Faults on purpose: each must be found, or the test above proves little.


async def does_not_keep(self: Journal, live: LiveTurn, ending: Ending) -> None:
    pass


async def does_not_note_the_attempt(self: Journal, lives: list[LiveTurn]) -> None:
    for live in lives:
        if live.row is not None:
            await live.row


async def takes_no_turn_up(self: Journal) -> list[Any]:
    return []


def forgets_keys(self: Keys, turn: Turn, key: str, now: float) -> None:
    return None


def frees_every_key(ending: Ending) -> bool:
    return ending.reply is None


BROKEN: dict[str, tuple[Any, str, Callable[..., Any]]] = {
    "an ending is not kept": (Journal, "end", does_not_keep),
    "an attempt is not written down": (Journal, "begin", does_not_note_the_attempt),
    "what was left is not taken up": (Journal, "take_up", takes_no_turn_up),
    "keys are not looked up": (Keys, "find", forgets_keys),
    "a failure frees its key": (endings, "frees_key", frees_every_key),
}


@pytest.mark.parametrize("name", BROKEN)
def test_the_lives_find_the_fault(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    owner, attribute, broken = BROKEN[name]
    monkeypatch.setattr(owner, attribute, broken)
    with pytest.raises(AssertionError, match="seed"):
        explore(range(10), BUILT_IN["queue"])

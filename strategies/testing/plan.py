"""What happens in one schedule: who asks when, what the agent does, and when it all shuts down.

Everything follows from the seed. Delays are few, coarse and equal, so that
many things fall on the same instant: equal delays make ties, and ties make races.
Some schedules are slow, so that a turn waits long enough to gain urgency by it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random
from typing import Literal

from ..base import Limits

TICK_S = 0.5
SLOW_TICK_S = 12.0

Deed = Literal[
    "reply", "reply unsealed", "raise ZeroDivisionError", "raise CancelledError",
    "raise SystemExit", "raise KeyboardInterrupt", "raise GeneratorExit", "cancel itself", "hang",
    "ignore cancellation", "fail to keep", "return nothing",
]  # fmt: skip
DEEDS: tuple[Deed, ...] = (
    "reply", "reply", "reply", "reply", "reply unsealed", "raise ZeroDivisionError",
    "raise CancelledError", "raise SystemExit", "raise KeyboardInterrupt",
    "raise GeneratorExit", "cancel itself", "hang", "ignore cancellation",
    "ignore cancellation", "fail to keep", "return nothing",
)  # fmt: skip
PRIORITIES = ((3,), (3, 3, 3, 2, 4, 1, 5))
"""Half of the schedules have turns that are all alike, as fairness can only be judged there.

In another half no turn names a strategy, so that the one under test shows what it does itself.
"""

CROWDED = 0.2
"""The share of schedules in which several callers contend; in the others nobody is named."""


@dataclass(frozen=True, slots=True)
class TurnPlan:
    """One turn of one client. Times in seconds; `yields` are extra trips through the loop.

    `keeps_said`: interrupted, its agent ends with the words that it has.
    """

    id: str
    conversation: str
    arrives_s: float
    yields: int
    deadline_s: float | None
    cancels_after_s: float | None
    leaves_after_s: float | None
    priority: int
    deed: Deed
    takes_s: float
    stays_s: float
    keeping_s: float
    keeps_said: bool
    strategy: str | None
    caller: str


@dataclass(frozen=True, slots=True)
class Plan:
    """One schedule."""

    limits: Limits
    turns: tuple[TurnPlan, ...]
    drains_at_s: float | None
    drain_timeout_s: float


def make_plan(seed: int) -> Plan:
    """The schedule of this seed, the same for ever."""
    rng = Random(seed)
    later = Random(f"{seed} again")  # For what was added: the seeds of old faults stay theirs.
    choosy = Random(f"{seed} choosy").random() < 0.5
    crowd = Random(f"{seed} crowd")
    tick_s = rng.choice((TICK_S, TICK_S, SLOW_TICK_S))
    limits = Limits(
        max_running=rng.choice((1, 1, 2, 3)),
        max_waiting=rng.choice((2, 4, 100)),
        max_waiting_per_conversation=rng.choice((1, 2, 100)),
        max_wait_s=rng.choice((None, None, 2 * tick_s, 6 * tick_s)),
        turn_timeout_s=rng.choice((3 * tick_s, 6 * tick_s)),
    )
    conversations = "abc"[: rng.randint(1, 3)]
    priorities = rng.choice(PRIORITIES)
    turns = tuple(
        _make_turn(rng, later, tick_s, number, rng.choice(conversations), rng.choice(priorities))
        for number in range(rng.randint(2, 8))
    )
    if crowd.random() < CROWDED:
        turns = _crowd(crowd, tick_s, turns)
        limits = replace(limits, max_waiting_per_caller=crowd.choice((2, 4, 100)))
    if not choosy:
        turns = tuple(replace(turn, strategy=None) for turn in turns)
    drains = rng.random() < 0.3
    return Plan(
        limits=limits,
        turns=turns,
        drains_at_s=tick_s * rng.randint(0, 6) if drains else None,
        drain_timeout_s=tick_s * rng.randint(0, 4),
    )


def _crowd(rng: Random, tick_s: float, turns: tuple[TurnPlan, ...]) -> tuple[TurnPlan, ...]:
    """More turns, most of them plain ones, in more conversations, which have several callers."""
    caller_of = {one: rng.choice(("ann", "ann", "bob", "cat")) for one in "abcdef"}
    more = tuple(
        replace(turn, id=f"t{number}", deed="reply", cancels_after_s=None, deadline_s=None,
                arrives_s=rng.randint(0, 6) * tick_s, takes_s=rng.randint(0, 3) * tick_s)
        for number, turn in enumerate(rng.choices(turns, k=8), len(turns))
    )  # fmt: skip
    placed = (replace(turn, conversation=rng.choice("abcdef")) for turn in turns + more)
    return tuple(replace(turn, caller=caller_of[turn.conversation]) for turn in placed)


def _make_turn(
    rng: Random, later: Random, tick_s: float, number: int, conversation: str, priority: int
) -> TurnPlan:
    def ticks(most: int) -> float:
        return rng.randint(0, most) * tick_s

    return TurnPlan(
        id=f"t{number}",
        conversation=conversation,
        arrives_s=ticks(3),
        yields=rng.choice((0, 0, 1, 2)),
        deadline_s=ticks(6) if rng.random() < 0.25 else None,
        cancels_after_s=ticks(4) if rng.random() < 0.3 else None,
        leaves_after_s=ticks(4) if rng.random() < 0.2 else None,
        priority=priority,
        deed=rng.choice(DEEDS),
        takes_s=ticks(3),
        stays_s=ticks(6),
        keeping_s=rng.choice((0.0, 0.0, tick_s, 4 * tick_s)),
        keeps_said=later.random() < 0.5,
        strategy=later.choice((None, "queue", "reject", "interrupt", "rollback", "merge")),
        caller="",
    )

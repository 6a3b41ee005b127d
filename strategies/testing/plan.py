"""What happens in one schedule: who asks when, what the agent does, and when it all shuts down.

Everything follows from the seed. Delays are few, coarse and equal, so that
many things fall on the same instant: equal delays make ties, and ties make races.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Literal

from ..base import Limits

TICK_S = 0.5

Deed = Literal[
    "reply", "reply unsealed", "raise", "raise CancelledError", "raise SystemExit",
    "raise KeyboardInterrupt", "raise GeneratorExit", "cancel itself", "hang",
    "ignore cancellation", "fail to keep", "return nothing",
]  # fmt: skip
DEEDS: tuple[Deed, ...] = (
    "reply", "reply", "reply", "reply", "reply unsealed", "raise", "raise CancelledError",
    "raise SystemExit", "raise KeyboardInterrupt", "raise GeneratorExit", "cancel itself",
    "hang", "ignore cancellation", "ignore cancellation", "fail to keep",
    "return nothing",
)  # fmt: skip


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
    deed: Deed
    takes_s: float
    stays_s: float
    keeping_s: float
    keeps_said: bool
    strategy: str | None


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
    limits = Limits(
        max_running=rng.choice((1, 1, 2, 3)),
        max_waiting=rng.choice((2, 4, 100)),
        max_waiting_per_conversation=rng.choice((1, 2, 100)),
        max_wait_s=rng.choice((None, None, 2 * TICK_S, 6 * TICK_S)),
        turn_timeout_s=rng.choice((3 * TICK_S, 6 * TICK_S)),
    )
    conversations = "abc"[: rng.randint(1, 3)]
    turns = tuple(
        _make_turn(rng, later, number, rng.choice(conversations))
        for number in range(rng.randint(2, 8))
    )
    drains = rng.random() < 0.3
    return Plan(
        limits=limits,
        turns=turns,
        drains_at_s=_ticks(rng, 6) if drains else None,
        drain_timeout_s=_ticks(rng, 4),
    )


def _make_turn(rng: Random, later: Random, number: int, conversation: str) -> TurnPlan:
    return TurnPlan(
        id=f"t{number}",
        conversation=conversation,
        arrives_s=_ticks(rng, 3),
        yields=rng.choice((0, 0, 1, 2)),
        deadline_s=_ticks(rng, 6) if rng.random() < 0.25 else None,
        cancels_after_s=_ticks(rng, 4) if rng.random() < 0.3 else None,
        leaves_after_s=_ticks(rng, 4) if rng.random() < 0.2 else None,
        deed=rng.choice(DEEDS),
        takes_s=_ticks(rng, 3),
        stays_s=_ticks(rng, 6),
        keeping_s=rng.choice((0.0, 0.0, TICK_S, 4 * TICK_S)),
        keeps_said=later.random() < 0.5,
        strategy=later.choice((None, "queue", "reject", "interrupt", "rollback", "merge")),
    )


def _ticks(rng: Random, most: int) -> float:
    return rng.randint(0, most) * TICK_S

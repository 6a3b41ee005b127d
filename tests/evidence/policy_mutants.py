"""The policies, broken by hand: most keep every promise of a strategy, and shed wrongly."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import strategies
from strategies.testing import Factory
from tests.strategies.mutants import Mutant

SOURCE = Path(strategies.__file__).parent

COPIED = (
    *("service_time", "patience", "engine", "ageing", "shares", "lines", "shedding"),
    *("queue", "lock", "reject"),
)
"""Modules that are made anew with a mutant, each before those that import it."""

CLASSES = {"queue": "Queue", "lock": "Lock", "reject": "Reject"}


def with_mutant(mutant: Mutant) -> Factory:
    """The mutant's strategy, over copies of the modules; errors and tickets are the real ones.

    So what a simulation catches is what the copy raises. The real modules stay in their
    places.
    """
    assert mutant.module in COPIED
    names = [f"strategies.{name}" for name in COPIED]
    real = {name: sys.modules[name] for name in names}
    try:
        for name in COPIED:
            _copy(name, mutant)
        module = sys.modules[f"strategies.{mutant.strategy}"]
    finally:
        sys.modules.update(real)
    factory: Factory = getattr(module, CLASSES[mutant.strategy])
    return factory


def _copy(name: str, mutant: Mutant) -> None:
    source = (SOURCE / f"{name}.py").read_text()
    if name == mutant.module:
        source = mutant.applied_to(source)
    module = sys.modules[f"strategies.{name}"] = ModuleType(f"strategies.{name}")
    module.__package__ = "strategies"
    exec(compile(source, f"{name}.py, mutated", "exec"), module.__dict__)


HINT = "WaitExpired(retry_after_s=self.service_time.mean_s)"
LEFT = "left = ticket.state is State.CANCELLED"

MUTANTS = (
    # Which turns start.
    Mutant(
        "max_running is ignored",
        "queue.Queue._free_slots",
        "self._limits.max_running",
        "1000",
    ),
    Mutant(
        "a turn starts however little of its told deadline is left",
        "shedding.Shedding.is_late",
        "not brings or brings < fresh * least_worth(known)",
        "False",
    ),
    Mutant(
        "a turn starts that would end just at its deadline",
        "shedding.MARGIN",
        "1 / 32",
        "0.0",
    ),
    Mutant("a quarter of a service time is kept free", "shedding.MARGIN", "1 / 32", "8 / 32"),
    Mutant("a start is worth it that brings a third", "shedding.WORTH", "0.9", "0.3"),
    Mutant("silent clients are taken to wait for ever", "shedding.PRESUMED", "6", "100"),
    Mutant("no queue stands for long enough", "shedding.STANDING", "20", "2000"),
    Mutant("every queue stands", "shedding.STANDING", "20", "0"),
    # What is learned.
    Mutant(
        "those who leave teach nothing",
        "shedding.Shedding.ended",
        LEFT,
        "left = False",
    ),
    Mutant(
        "all who did not start are taken to have left",
        "shedding.Shedding.ended",
        LEFT,
        "left = True",
    ),
    Mutant(
        "those who started are not counted among those who stayed",
        "shedding.Shedding.started",
        "if ticket.turn.deadline_s is None",
    ),
    Mutant(
        "those who started are taken to have left",
        "shedding.Shedding.started",
        "left=False",
        "left=True",
    ),
    Mutant("a single measurement counts", "service_time.WINDOW", "100", "1"),
    # What is told, and what was told.
    Mutant(
        "who expires is not told when to come again",
        "engine.Engine.expire",
        HINT,
        "WaitExpired()",
    ),
    Mutant(
        "who expires is told to come again in ten times as long",
        "engine.Engine.expire",
        HINT,
        "WaitExpired(retry_after_s=10 * (self.service_time.mean_s or 0.0))",
    ),
    Mutant(
        "a told deadline does not end a wait",
        "engine.Engine.accept",
        "min(now + max_wait_s, ticket.deadline)",
        "now + max_wait_s",
    ),
    Mutant(
        "max_wait_s is ignored",
        "queue.Queue._max_wait_s",
        "inf if said is None or turn.deadline_s not in (None, inf) else said",
        "inf",
    ),
    Mutant(
        "max_wait_s is held against those who tell a deadline",
        "queue.Queue._max_wait_s",
        "said is None or turn.deadline_s not in (None, inf)",
        "said is None",
    ),
    Mutant(
        "a place is said to be the first",
        "queue.Queue._wait",
        "service_time.one_by_one(position - 1)",
        "NONE",
    ),
    # Retries.
    Mutant("a retry may always wait", "shedding.RETRY", "0.5", "5.0"),
    Mutant(
        "who expires while it waits is no retry when it comes again",
        "shedding.Shedding.ended",
        "self.sent_away(ticket.turn, now)",
    ),
    # Lines.
    Mutant(
        "the slots go to whoever has waited for longest, in whichever line",
        "lines.Lines.first",
        "ring.first()",
        "min(ring, key=lambda each: self._lines[each].first().accepted_at)",
    ),
    # Lock and reject.
    Mutant(
        "the lock is asked for again and again, so whoever asks at the right time has it",
        "lock.Lock._take",
        "async with lock",
        "while lock.locked():\n        await asyncio.sleep(0.73)\n    async with lock",
        "lock",
    ),
    Mutant(
        "reject lets a turn wait",
        "reject.Reject.submit",
        "raise self._engine.refuse_busy(turn.conversation)",
        "return self._engine.accept(turn)",
        "reject",
    ),
    Mutant(
        "reject does not say when to come again",
        "engine.Engine.refuse_busy",
        "ConversationBusy(retry_after_s=free.mean_s if free else self.service_s)",
        "ConversationBusy()",
        "reject",
    ),
    Mutant(
        "reject looks at whether anything runs, and not at where",
        "reject.Reject.submit",
        "self._engine.holder(turn.conversation) is not None",
        "not self._engine.idle",
        "reject",
    ),
)

"""The explorer: runs a strategy through thousands of seeded schedules and watches every step.

It sees what an outsider sees: the tickets, the figures of `load()`, and when
the agent is called and stops. From these it judges the promises of `Strategy`.
"""

from __future__ import annotations

import asyncio

from .clock import Deadlock, VirtualLoop, close
from .plan import make_plan
from .rig import Factory
from .schedule import Schedule

FOREVER_S = 1_000.0
"""No plan comes near this. A strategy with a timer that repeats would never be a deadlock."""


MOST_AT_ONCE = 50_000
"""How often the time may be asked before it moves. No plan comes near this either."""


class BrokenPromise(AssertionError):
    """A schedule in which the strategy broke a promise; the text says how to replay it."""


def explore(
    factory: Factory, schedules: int = 5_000, first_seed: int = 0, *, bounds: bool = False
) -> None:
    """Run that many schedules; raise BrokenPromise at the first that breaks a promise.

    bounds  also hold the strategy to `Limits`: to its three counts, and to a
            fair turn for each conversation. The interface leaves those open.
    """
    for seed in range(first_seed, first_seed + schedules):
        faults = replay(factory, seed, bounds=bounds)
        if faults:
            name = f"{getattr(factory, '__module__', '')}:{getattr(factory, '__qualname__', '')}"
            command = f"python -P -m strategies.testing {name} --seed {seed}"
            raise BrokenPromise(
                "\n  ".join([f"seed {seed}:", *faults])
                + f"\nreplay it with: {command}{' --bounds' if bounds else ''}"
            )


def replay(factory: Factory, seed: int, *, bounds: bool = False) -> list[str]:
    """Run the one schedule of this seed; the faults that were seen, none if it went well."""
    loop = _ImpatientLoop(seed)
    schedule = Schedule(factory, make_plan(seed), bounds)
    watch = schedule.watch
    loop.on_advance = watch.check_instant
    try:
        loop.run_until_complete(_in_time(schedule))
        watch.check_rest(loop)
    except (Deadlock, TimeoutError):
        watch.fault("3: a waiter hangs for ever")
    except BaseException as error:  # An agent's SystemExit must not end the loop, nor this.
        watch.fault(f"the loop was ended by {error!r}")
    loop.on_advance = lambda: None
    loop.patient = True
    close(loop)
    return watch.faults


class _ImpatientLoop(VirtualLoop):
    """Ends a schedule in which a strategy is busy for ever, so that its seed is told."""

    patient = False
    asked = 0

    def time(self) -> float:
        self.asked += 1
        if self.asked > MOST_AT_ONCE and not self.patient:
            raise RuntimeError("busy for ever: time does not move any more")
        return super().time()

    def select(self, timeout: float | None) -> list[object]:
        if timeout != 0:
            self.asked = 0
        return super().select(timeout)


async def _in_time(schedule: Schedule) -> None:
    async with asyncio.timeout(FOREVER_S):
        await schedule.run()

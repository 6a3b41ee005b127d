"""The explorer: runs a strategy through thousands of seeded schedules and watches every step.

It sees what an outsider sees: the tickets, the figures of `load()`, and when
the agent is called and stops. From these it judges the promises of `Strategy`.
"""

from __future__ import annotations

from .clock import Deadlock, VirtualLoop, close
from .plan import make_plan
from .schedule import Factory, Schedule


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
            command = f"python -m strategies.testing {name} --seed {seed}"
            raise BrokenPromise(
                "\n  ".join([f"seed {seed}:", *faults])
                + f"\nreplay it with: {command}{' --bounds' if bounds else ''}"
            )


def replay(factory: Factory, seed: int, *, bounds: bool = False) -> list[str]:
    """Run the one schedule of this seed; the faults that were seen, none if it went well."""
    loop = VirtualLoop(seed)
    schedule = Schedule(factory, make_plan(seed), bounds)
    watch = schedule.watch
    loop.on_advance = watch.check_instant
    try:
        loop.run_until_complete(schedule.run())
        watch.check_rest(loop)
    except Deadlock:
        watch.fault("3: a waiter hangs for ever")
    except BaseException as error:  # An agent's SystemExit must not end the loop, nor this.
        watch.fault(f"the loop was ended by {error!r}")
    loop.on_advance = lambda: None
    close(loop)
    return watch.faults

"""`python -P -m strategies.testing NAME`: does a strategy keep its promises?

Without `-P` a folder `strategies` of the user's own would be taken for this package.
"""

from __future__ import annotations

import argparse
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import partial

from ..base import Attempt, Limits, Reply, Turn
from ..registry import UnknownStrategy, find, make
from .clock import run
from .conformance import PROMISES
from .explorer import BrokenPromise, explore, replay
from .plan import TurnPlan, make_plan
from .rig import Factory


def main() -> int:
    options = _parse()
    _look_here()
    try:
        factory = find(options.strategy)
        make(options.strategy, _nobody, Limits(), {})
    except (UnknownStrategy, TypeError, ValueError) as error:
        known = isinstance(error, UnknownStrategy)
        print(error if known else f"strategy {options.strategy!r}: {error}", file=sys.stderr)
        return 2
    if options.seed is not None:
        return _replay(factory, options.seed, options.bounds)
    faults = _check_promises(factory)
    faults += _explore(options.strategy, options.schedules, options.first_seed, options.bounds,
                       options.jobs)  # fmt: skip
    print("all promises kept" if not faults else f"{faults} promises broken")
    return 1 if faults else 0


def _look_here() -> None:
    """Let modules of this folder be found, after all others."""
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -P -m strategies.testing",
        description="Hold a strategy to the promises of strategies.base.Strategy: first the "
        "conformance kit, then seeded schedules in virtual time.",
        epilog="Exit status: 0 all promises kept, 1 some broken, 2 usage. A broken schedule "
        "names the command that replays it; the same seed is the same schedule on any machine.",
    )
    parser.add_argument("strategy", help="queue, lock, reject, or package.module:Class")
    parser.add_argument("--schedules", type=_count, default=5_000, help="how many (5000)")
    parser.add_argument("--first-seed", type=_number, default=0, help="the first of them (0)")
    parser.add_argument("--jobs", type=_count, default=1, help="processes to share them (1)")
    parser.add_argument("--seed", type=_number, help="run this one schedule and show it")
    parser.add_argument(
        "--bounds", action="store_true", help="hold it to max_running, max_waiting, ... too"
    )
    return parser.parse_args()


async def _nobody(turn: Turn, attempt: Attempt) -> Reply:
    raise NotImplementedError


def _number(text: str) -> int:
    if not text.removeprefix("-").isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number")
    return int(text)


def _count(text: str) -> int:
    if _number(text) < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return int(text)


def _check_promises(factory: Factory) -> int:
    faults = 0
    for promise in PROMISES:
        try:
            run(promise(factory))
        except BaseException as error:  # An agent's SystemExit that was let through, too.
            faults += 1
            name = promise.__name__.replace("_", " ")
            print(f"broken: {name}: {error or type(error).__name__}")
    print(f"conformance kit: {len(PROMISES) - faults} of {len(PROMISES)} promises kept")
    return faults


def _explore(name: str, schedules: int, first: int, bounds: bool, jobs: int) -> int:
    share = -(-schedules // jobs)
    ranges = [(start, min(share, first + schedules - start)) for start in
              range(first, first + schedules, share)]  # fmt: skip
    with ProcessPoolExecutor(jobs) as pool:
        results = list(pool.map(partial(_explore_range, name, bounds), ranges))
    for result in filter(None, results):
        print(result)
    print(f"explorer: {schedules} schedules from seed {first}")
    return sum(result is not None for result in results)


def _explore_range(name: str, bounds: bool, seeds: tuple[int, int]) -> str | None:
    _look_here()
    try:
        explore(find(name), seeds[1], seeds[0], bounds=bounds)
    except BrokenPromise as broken:
        return str(broken)
    return None


def _replay(factory: Factory, seed: int, bounds: bool) -> int:
    plan = make_plan(seed)
    print(f"seed {seed}: {plan.limits}")
    if plan.drains_at_s is not None:
        print(f"drains at {plan.drains_at_s} s, for {plan.drain_timeout_s} s")
    for turn in plan.turns:
        print(f"  {_describe(turn)}")
    faults = replay(factory, seed, bounds=bounds)
    for fault in faults:
        print(f"broken: {fault}")
    print("no fault" if not faults else f"{len(faults)} faults")
    return 1 if faults else 0


def _describe(turn: TurnPlan) -> str:
    parts = [f"{turn.id} in {turn.conversation!r} at {turn.arrives_s} s (+{turn.yields} ticks):"]
    took_s = turn.stays_s if turn.deed == "ignore cancellation" else turn.takes_s
    endless = turn.deed in {"hang", "cancel itself"}
    parts.append(turn.deed if endless else f"{turn.deed}, {took_s} s")
    parts.append(f"| priority {turn.priority}")
    if turn.strategy is not None:
        parts.append(f"| asks for {turn.strategy}")
    details = {
        "deadline": turn.deadline_s,
        "cancelled after": turn.cancels_after_s,
        "a waiter leaves after": turn.leaves_after_s,
        "to keep its reply takes": turn.keeping_s or None,
    }
    parts += [f"| {name} {time} s" for name, time in details.items() if time is not None]
    return " ".join(parts)


if __name__ == "__main__":
    sys.exit(main())

"""Measure: `python -m loadtests.bench [--quick] [--only SECTION ...]`."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

from loadtests import bench
from loadtests.bench import (
    adapters,
    doors,
    hand_over,
    history,
    pieces,
    postgres,
    states,
    streams,
    tracing,
    turns,
    waiting,
    watched,
)

SECTIONS: dict[str, Callable[[bool], None]] = {
    "turns": turns.measure,
    "pieces": pieces.measure,
    "history": history.measure,
    "states": states.measure,
    "streams": streams.measure,
    "doors": doors.measure,
    "hand-over": hand_over.measure,
    "waiting": waiting.measure,
    "watched": watched.measure,
    "tracing": tracing.measure,
    "postgres": postgres.measure,
}
OF_FRAMEWORKS = {"adapters": adapters.measure}
"""Not measured unless they are named: they need the frameworks."""

ALL = SECTIONS | OF_FRAMEWORKS


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m loadtests.bench",
        description=bench.__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="fewer rounds: shows that it works")
    parser.add_argument("--only", action="extend", nargs="+", choices=ALL, metavar="SECTION")
    asked = parser.parse_args()
    for name in asked.only or SECTIONS:
        began = time.monotonic()
        ALL[name](asked.quick)
        print(f"({name}: took {time.monotonic() - began:.0f} s)", flush=True)


if __name__ == "__main__":
    main()

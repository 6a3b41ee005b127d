"""The way of one plain `POST /chat` through the app, counted: `python -m loadtests.bench.depth`.

In this process, without an HTTP server: the longest chain of calls above the event
loop, the functions and modules of ours that are on the way, and what is made for the
turn. Of another checkout: with that one first in PYTHONPATH.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Callable, Coroutine
from contextlib import redirect_stderr
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import runner
from loadtests.bench.agents import ok_with_history
from runner.__main__ import compose
from runner.app import make_app
from runner.settings import AgentSettings, Settings, StoreSettings
from runner.telemetry import configure_logging

CHECKOUT = Path(runner.__file__).parent.parent
OURS = tuple(str(CHECKOUT / package) + os.sep for package in ("runner", "strategies"))
WARM_UP = 50


class Counts:
    """Of one turn. `deepest` is the longest chain, outermost first."""

    def __init__(self) -> None:
        self.made = dict.fromkeys(("tasks", "futures", "timers", "callbacks"), 0)
        self.deepest: list[CodeType] = []
        self.seen: set[CodeType] = set()

    def profile(self, frame: FrameType, event: str, _: object) -> None:
        if event != "call":
            return
        chain = _chain(frame)
        if chain:
            self.seen.add(frame.f_code)
        if len(chain) > len(self.deepest):
            self.deepest = chain[::-1]


def _chain(frame: FrameType | None) -> list[CodeType]:
    """From here to the event loop, which is in none of it."""
    chain: list[CodeType] = []
    while frame is not None:
        if frame.f_code.co_filename == asyncio.events.__file__ and frame.f_code.co_name == "_run":
            return chain
        chain.append(frame.f_code)
        frame = frame.f_back
    return []


class CountingLoop(asyncio.SelectorEventLoop):
    """Counts what is made in it."""

    counts = Counts()

    def create_task(self, coro: Any, **more: Any) -> asyncio.Task[Any]:
        self.counts.made["tasks"] += 1
        return super().create_task(coro, **more)

    def create_future(self) -> asyncio.Future[Any]:
        self.counts.made["futures"] += 1
        return super().create_future()

    def call_at(self, when: float, callback: Any, *args: Any, **more: Any) -> asyncio.TimerHandle:
        self.counts.made["timers"] += 1
        return super().call_at(when, callback, *args, **more)

    def call_soon(self, callback: Any, *args: Any, **more: Any) -> asyncio.Handle:
        self.counts.made["callbacks"] += 1
        return super().call_soon(callback, *args, **more)


async def count() -> Counts:
    app = _make_app()
    loop = asyncio.get_running_loop()
    assert isinstance(loop, CountingLoop)
    await app.startup()
    for _ in range(WARM_UP):
        await _one_turn(app)
    loop.counts = Counts()
    ours = loop.counts
    sys.setprofile(ours.profile)
    # In a callback of its own, so that the chain starts at the app and not in here.
    await _one_turn(app)
    sys.setprofile(None)
    loop.counts = Counts()
    await app.shutdown()
    return ours

"""The agents of the benchmark, the same in the runner and in its peers."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

TEXT = (
    "The harbour was quiet when the first boats came in. Nets were pulled over the stones, "
    "the gulls followed, and somebody's radio told the weather for the evening. “Wind from "
    "the west,” said the old man, “and a café that is still open: what more can one want?” "
)


def _split(text: str) -> list[str]:
    """In pieces of 10 to 20 characters, at the spaces."""
    pieces = [""]
    for word in text.split():
        if len(pieces[-1]) + len(word) >= 18:
            pieces.append("")
        pieces[-1] += word + " "
    return [piece for piece in pieces if len(piece) >= 10]


PIECES = _split(TEXT)


async def ok(message: str) -> str:
    """It costs nothing, so what is measured is what is around it."""
    return "ok"


async def ok_unless_held(message: str) -> str:
    """The message "hold" is never answered."""
    if message == "hold":
        await asyncio.Event().wait()
    return "ok"


async def ok_after(message: str) -> str:
    """The message says after how many seconds."""
    await asyncio.sleep(float(message))
    return "ok"


async def dated(message: str) -> str:
    """When it was called and when it ended, by the machine's clock, and in which process.

    A message may name a file, which is waited for.
    """
    called_s = time.monotonic()
    while message.startswith("/") and not os.path.exists(message):  # noqa: ASYNC240 - it is near.
        await asyncio.sleep(0.005)
    return json.dumps([os.getpid(), called_s, time.monotonic()])


async def ok_with_history(message: str, history: Sequence[Any]) -> str:
    """May read the history, and does not."""
    return "ok"


async def recent(message: str, history: Sequence[Any]) -> str:
    """Reads the last four messages."""
    return " ".join(said["content"] for said in history[-4:])[:2]


async def speaker(message: str) -> AsyncIterator[str]:
    """A message such as "100 0.02": so many pieces, each after so many seconds."""
    count, pause_s = message.split()
    for number in range(int(count)):
        await asyncio.sleep(float(pause_s))
        yield PIECES[number % len(PIECES)]


class _Keeper:
    """Answers as `ok` does, and has a state of about so many bytes, as chat messages have."""

    size = 0

    def __init__(self) -> None:
        said = {"role": "assistant", "content": TEXT}
        self._state: dict[str, Any] = {
            "messages": [said] * max(self.size // len(str(said)), 1),
            "turns": 0,
        }

    def get_state(self) -> dict[str, Any]:
        return self._state

    def set_state(self, state: dict[str, Any]) -> None:
        self._state = state

    async def answer(self, message: str) -> str:
        self._state["turns"] += 1
        return "ok"


class Keeps1kB(_Keeper):
    size = 1_000


class Keeps100kB(_Keeper):
    size = 100_000


class Keeps1MB(_Keeper):
    size = 1_000_000

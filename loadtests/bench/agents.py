"""The agents of the benchmark, the same in the runner and in its peers."""

from __future__ import annotations

import asyncio
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

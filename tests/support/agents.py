"""Agents for the tests. Messages say what is to happen: `sleep 0.5`, `raise ValueError`, ...

`until FILE` goes on when the file exists (`Server.let_on`): a turn that a test ends.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

from runner.agents import current_turn
from runner.agents.chain import START, make_link
from strategies.testing.stubborn import ignore_cancellation

CALLS = os.environ.get("TURNLINE_TEST_CALLS")
"""A file to which each call of an agent is appended: the proof that one was (not) made."""


def note(event: str, message: str) -> None:
    """Append an event; one write of a short line is whole even when two threads write."""
    if CALLS:
        with open(CALLS, "a") as calls:
            calls.write(f"{event} {message}\n")


async def echo(message: str, history: list[dict[str, str]]) -> str:
    """Do what the message says, and answer with it and the number of messages before it."""
    before = len(history)
    note("began", message)
    try:
        await obey(message)
    finally:
        note("ended", message)
    return json.dumps({"echo": message, "before": before})


async def obey(message: str) -> None:
    verb, _, argument = message.partition(" ")
    match verb:
        case "sleep":
            await asyncio.sleep(float(argument.split()[0]))
        case "hang":
            await asyncio.Event().wait()
        case "until":
            while not Path(argument).exists():  # noqa: ASYNC240 (a local file)
                await asyncio.sleep(0.01)
        case "hang-at-first":
            if current_turn().attempt == 1:
                await asyncio.Event().wait()
        case "ignore":
            await ignore_cancellation(float(argument))
        case "block":
            time.sleep(float(argument))  # noqa: ASYNC251 (the fault to be shown)
        case "raise":
            raise FAULTS[argument]("a secret of the agent")
        case _:
            pass


class Strange(BaseException):
    """Not an Exception."""


FAULTS: dict[str, type[BaseException]] = {
    "Exception": Exception,
    "CancelledError": asyncio.CancelledError,
    "GeneratorExit": GeneratorExit,
    "StopIteration": StopIteration,
    "StopAsyncIteration": StopAsyncIteration,
    "Strange": Strange,
    "SystemExit": SystemExit,
    "KeyboardInterrupt": KeyboardInterrupt,
    "RecursionError": RecursionError,
    "MemoryError": MemoryError,
}


async def pieces(message: str, history: list[dict[str, str]]) -> AsyncIterator[str]:
    """An async generator of text pieces."""
    for word in message.split():
        await obey(message)
        yield word + " "


def threaded(message: str, history: list[dict[str, str]]) -> str:
    """A sync function, run in a thread."""
    note("began", message)
    try:
        verb, _, argument = message.partition(" ")
        if verb in {"sleep", "ignore"}:
            time.sleep(float(argument.split()[0]))
        if verb == "hang":
            time.sleep(3600)
        while verb == "until" and not Path(argument).exists():
            time.sleep(0.01)
        if verb == "raise":
            raise FAULTS[argument]("a secret of the agent")
    finally:
        note("ended", message)
    return json.dumps({"echo": message, "before": len(history)})


async def strange_types(message: str, history: list[dict[str, str]]) -> Any:
    """Returns what no agent should."""
    return {
        "none": None,
        "int": 7,
        "bytes": b"bytes",
        "set": {"a"},
        "surrogate": "\ud800",
        "huge": "x" * 50_000_000,
        "generator": (piece for piece in ("a", "b")),
    }.get(message, message)


class Counter:
    """An object with a history of its own, which tells when two calls overlap."""

    def __init__(self) -> None:
        self.messages: list[str] = []
        self.inside = 0

    async def __call__(self, message: str) -> str:
        self.inside += 1
        overlap = self.inside > 1
        self.messages.append(message)
        await asyncio.sleep(0.005)
        self.inside -= 1
        return json.dumps({"count": len(self.messages), "overlap": overlap})


counter = Counter()


def make_counter() -> Counter:
    """A factory: one counter for each conversation."""
    return Counter()


def many_words(message: str) -> Iterator[str]:
    """A sync generator of text pieces."""
    yield from message.split()


async def teller(message: str, history: list[dict[str, str]]) -> AsyncIterator[str]:
    """Tells `COUNT` pieces, one each `PAUSE` seconds, then does what the rest says."""
    note("began", message)
    try:
        count, pause, *rest = message.split(" ", 2)
        for number in range(int(count)):
            await asyncio.sleep(float(pause))
            yield f"piece {number}, "
        await obey("".join(rest))
    finally:
        note("ended", message)


async def by_files(message: str, history: list[dict[str, str]]) -> AsyncIterator[str]:
    """Tells the names of files that the message has, each when the file before is there."""
    note("began", message)
    for name in message.split():
        yield f"{name}, "
        await obey(f"until {name}")
    note("ended", message)


async def by_first_word(message: str, history: list[dict[str, str]]) -> AsyncIterator[str]:
    """Says the first word of the message, and the rest when there is a file of that name."""
    first, _, rest = message.partition(" ")
    note("began", message)
    yield first
    await obey(f"until {first}")
    yield f" {rest}"


async def counting_attempts(message: str, history: list[dict[str, str]]) -> str:
    """Says which attempt it is, and does what the message says."""
    turn = current_turn()
    note("began", f"{message} {turn.id} {turn.attempt}")
    await obey(message)
    note("ended", f"{message} {turn.id} {turn.attempt}")
    return json.dumps({"echo": message, "attempt": turn.attempt, "before": len(history)})


async def by_process(message: str, history: list[dict[str, str]]) -> AsyncIterator[str]:
    """Tells its attempt and its process, does what the message says, and tells the end."""
    attempt = current_turn().attempt
    note("began", f"{message} in {os.getpid()} for the {attempt}. time")
    yield json.dumps({"attempt": attempt, "process": os.getpid(), "before": len(history)})
    await obey(message)
    note("ended", f"{message} in {os.getpid()} for the {attempt}. time")
    yield " done"


async def chained(message: str, history: Sequence[dict[str, str]]) -> str:
    """A link of a chain, as the agent `chain` makes it, when it has done what the message says."""
    turn = current_turn()
    number = len(history) // 2 + 1
    prior = json.loads(history[-1]["content"])["hash"] if history else START
    note("began", f"{turn.id} {turn.attempt}")
    await obey(message)
    return make_link(number, prior, message)

"""Small agents that are told names, each with the fault of a kind that real ones have, or none."""

from __future__ import annotations

import asyncio
import faulthandler
import os
import re
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from runner.agents import InputRequired, current_turn
from runner.agents.base import Message

PAUSE_S = 0.1
"""How long the "model" takes."""

UNKNOWN = "You have not told me."


def name_in(text: str) -> str | None:
    match = re.search(r"My name is (\w+)\.", text)
    return match[1] if match else None


def answer(texts: Sequence[str]) -> str:
    """What a good model would say to the last of them, if these are all the user has said."""
    names = [name for text in texts if (name := name_in(text))]
    if "What is my name?" not in texts[-1]:
        return "Nice to meet you."
    return f"You are {names[-1]}." if names else UNKNOWN


def said(message: str, history: Sequence[Message]) -> list[str]:
    return [*(one["content"] for one in history if one["role"] == "user"), message]


# Without a fault.


async def by_history(message: str, history: Sequence[Message]) -> str:
    texts = said(message, history)
    await asyncio.sleep(PAUSE_S)
    return answer(texts)


def in_a_thread(message: str, history: Sequence[Message]) -> str:
    texts = said(message, history)
    time.sleep(PAUSE_S)
    return answer(texts)


class WithState:
    """Its state is kept with the history; between turns it is whatever the last turn left."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def get_state(self) -> Any:
        return self.texts

    def set_state(self, state: Any) -> None:
        self.texts = state

    async def answer(self, message: str) -> str:
        self.texts.append(message)
        await asyncio.sleep(PAUSE_S)
        return answer(self.texts)


with_state = WithState()


class FromHistory:
    """A factory: made again from the history after a turn that was not kept."""

    def __init__(self, history: Sequence[Message]) -> None:
        self.texts = [one["content"] for one in history if one["role"] == "user"]

    async def answer(self, message: str) -> str:
        self.texts.append(message)
        await asyncio.sleep(PAUSE_S)
        return answer(self.texts)


class Absent:
    """A model that does not always pay attention: the first answer to a question is useless."""

    def __init__(self, history: Sequence[Message]) -> None:
        self.texts = [one["content"] for one in history if one["role"] == "user"]
        self.asked = 0

    async def answer(self, message: str) -> str:
        self.texts.append(message)
        self.asked += "What is" in message
        return "Pardon?" if self.asked % 2 else answer(self.texts)


# Those that remember nothing, or do not say so.


async def echo(message: str) -> str:
    return f"You said: {message}"


async def ignores_history(message: str, history: Sequence[Message]) -> str:
    return answer([message])


async def off_topic(message: str, history: Sequence[Message]) -> str:
    return "I can only help with SQL."


async def counts(message: str, history: Sequence[Message]) -> str:
    return f"{len(history) // 2 + 1}: you said {message}"


async def number_keeper(message: str, history: Sequence[Message]) -> str:
    numbers = re.findall(r"order (\d+)", " ".join(said(message, history)))
    return f"It was {int(numbers[-1]):,}." if numbers and "Which" in message else "Well."


async def asks_a_person(message: str, history: Sequence[Message]) -> str:
    raise InputRequired("May I?")


# With a fault.

EVERYTHING: list[str] = []


async def in_a_global(message: str) -> str:
    EVERYTHING.append(message)
    await asyncio.sleep(PAUSE_S)
    return answer(EVERYTHING)


class ReadsThenWrites:
    """Reads its session, thinks, writes it back: of turns at once the last one stays."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    async def answer(self, message: str) -> str:
        texts = [*self.texts, message]
        await asyncio.sleep(PAUSE_S)
        self.texts = texts
        return answer(texts)


class AppendsFirst:
    """Adds the message before the model is called, and leaves it there whatever happens."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    async def answer(self, message: str) -> str:
        self.texts.append(message)
        await asyncio.sleep(PAUSE_S)
        return answer(self.texts)


appends_first = AppendsFirst()


async def with_own_files(message: str) -> str:
    """A store of its own, in which conversations are apart, and which knows of no rollback."""
    file = Path(os.environ["TURNLINE_TEST_FILES"]) / current_turn().conversation
    texts = [*(file.read_text().splitlines() if file.exists() else ()), message]
    file.write_text("\n".join(texts))
    await asyncio.sleep(PAUSE_S)
    return answer(texts)


class Wiped:
    """Once a turn of it is stopped, it knows nothing any more."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    async def answer(self, message: str) -> str:
        try:
            await asyncio.sleep(PAUSE_S)
        except asyncio.CancelledError:
            self.texts.clear()
            raise
        self.texts.append(message)
        return answer(self.texts)


class DiesOfIt:
    """To be stopped ends the process."""

    def __init__(self, history: Sequence[Message]) -> None:
        self.texts = [one["content"] for one in history if one["role"] == "user"]

    async def answer(self, message: str) -> str:
        try:
            await asyncio.sleep(PAUSE_S)
        except asyncio.CancelledError:
            os._exit(3)
        self.texts.append(message)
        return answer(self.texts)


class StaysBusy:
    """Raises when it is called twice at once, and for ever once a turn of it was stopped."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.is_busy = False

    async def answer(self, message: str) -> str:
        if self.is_busy:
            raise RuntimeError("the agent is busy")
        self.is_busy = True
        await asyncio.sleep(PAUSE_S)
        self.is_busy = False
        self.texts.append(message)
        return answer(self.texts)


class Aborts:
    """A context that two threads must not share (llama.cpp)."""

    def __init__(self) -> None:
        self.inside = threading.Lock()
        self.texts: list[str] = []

    def answer(self, message: str) -> str:
        if not self.inside.acquire(blocking=False):
            faulthandler.disable()
            os.abort()
        try:
            time.sleep(PAUSE_S)
            self.texts.append(message)
            return answer(self.texts)
        finally:
            self.inside.release()


class Hangs:
    """Two calls at once wait for each other."""

    def __init__(self) -> None:
        self.inside = 0
        self.texts: list[str] = []

    async def answer(self, message: str) -> str:
        self.inside += 1
        try:
            await asyncio.sleep(PAUSE_S)
            while self.inside > 1:
                await asyncio.sleep(PAUSE_S)
        finally:
            self.inside -= 1
        self.texts.append(message)
        return answer(self.texts)


async def fails_on_request(message: str, history: Sequence[Message]) -> str:
    if message.startswith("Fail"):
        EVERYTHING.append(message.replace("Fail. ", ""))
        raise RuntimeError("as you wished")
    return answer([*said("", history), *EVERYTHING, message])


async def always_fails(message: str, history: Sequence[Message]) -> str:
    raise ValueError("no model here")


class Distracted:
    """Knows less while several ask at once, but misses a word now and then in any case."""

    def __init__(self, history: Sequence[Message]) -> None:
        self.texts = [one["content"] for one in history if one["role"] == "user"]
        self.asked = 0

    async def answer(self, message: str) -> str:
        self.texts.append(message)
        await asyncio.sleep(PAUSE_S)
        self.asked += "What is" in message
        return "Pardon?" if self.asked == 2 else answer(self.texts)

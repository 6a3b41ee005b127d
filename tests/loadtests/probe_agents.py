"""Small agents, each with the fault of a kind that real frameworks have, and some without."""

from __future__ import annotations

import asyncio
import faulthandler
import os
import threading
import time

PAUSE_S = 0.02
"""How long the "model" takes."""


async def sound(message: str, history: list[object]) -> str:
    """Without state of its own; the runner keeps its history."""
    await asyncio.sleep(PAUSE_S)
    return f"I know {len(history) // 2} earlier turns."


def sound_in_a_thread(message: str, history: list[object]) -> str:
    time.sleep(PAUSE_S)
    return f"I know {len(history) // 2} earlier turns."


class Checkpoint:
    """Reads its state, thinks, writes it back (LangGraph, Pydantic AI's message_history)."""

    def __init__(self) -> None:
        self.messages: list[str] = []

    async def answer(self, message: str) -> str:
        state = list(self.messages)
        await asyncio.sleep(PAUSE_S)
        state += [f"user: {message}", "assistant: yes"]
        self.messages = state
        return "yes"


class Session:
    """Reads at the start and appends at the end (OpenAI Agents' SQLiteSession)."""

    def __init__(self) -> None:
        self.items: list[str] = []

    async def answer(self, message: str) -> str:
        known = len(self.items) // 2
        await asyncio.sleep(PAUSE_S)
        self.items += [f"user: {message}", f"assistant: {known}"]
        return f"I know {known} earlier turns."


class HiddenSession:
    """The same, where nobody can look."""

    def __init__(self) -> None:
        items: list[str] = []

        async def answer(message: str) -> str:
            known = len(items)
            await asyncio.sleep(PAUSE_S)
            items.append(message)
            return f"I know {known} earlier turns."

        self.respond = answer


class TwoSteps:
    """Appends the message before the call and the reply after it (Google ADK, AutoGen)."""

    def __init__(self) -> None:
        self.events: list[str] = []

    async def answer(self, message: str) -> str:
        self.events.append(f"user: {message}")
        await asyncio.sleep(PAUSE_S)
        self.events.append("assistant: yes")
        return "yes"


class ConcurrencyException(Exception):
    pass


class Raises:
    """Notices, and raises (Strands)."""

    def __init__(self) -> None:
        self.busy = False

    async def answer(self, message: str) -> str:
        if self.busy:
            raise ConcurrencyException("Agent is already processing a request")
        self.busy = True
        try:
            await asyncio.sleep(PAUSE_S)
        finally:
            self.busy = False
        return "yes"


class Aborts:
    """A context that two threads must not share (llama.cpp)."""

    def __init__(self) -> None:
        self.inside = threading.Lock()

    def answer(self, message: str) -> str:
        if not self.inside.acquire(blocking=False):
            faulthandler.disable()
            os.abort()
        try:
            time.sleep(PAUSE_S * 5)
        finally:
            self.inside.release()
        return "yes"


class Hangs:
    """Waits for itself when it is entered twice."""

    def __init__(self) -> None:
        self.inside = 0

    async def answer(self, message: str) -> str:
        self.inside += 1
        while True:
            await asyncio.sleep(PAUSE_S)
            if self.inside == 1:
                break
        self.inside -= 1
        return "yes"


async def always_fails(message: str, history: list[object]) -> str:
    raise ValueError("no model here")

"""Small agents, each with the fault of a kind that real frameworks have, and some without."""

from __future__ import annotations

import asyncio
import faulthandler
import os
import threading
import time

PAUSE_S = 0.02
"""How long the "model" takes."""


async def sound(message, history):
    """Without state of its own; the runner keeps its history."""
    await asyncio.sleep(PAUSE_S)
    return f"I know {len(history) // 2} earlier turns."


def sound_in_a_thread(message, history):
    time.sleep(PAUSE_S)
    return f"I know {len(history) // 2} earlier turns."


class Checkpoint:
    """Reads its state, thinks, writes it back (LangGraph, Pydantic AI's message_history)."""

    def __init__(self):
        self.messages = []

    async def answer(self, message):
        state = list(self.messages)
        await asyncio.sleep(PAUSE_S)
        state += [f"user: {message}", "assistant: yes"]
        self.messages = state
        return "yes"


class Session:
    """Reads at the start and appends at the end (OpenAI Agents' SQLiteSession)."""

    def __init__(self):
        self.items = []

    async def answer(self, message):
        known = len(self.items) // 2
        await asyncio.sleep(PAUSE_S)
        self.items += [f"user: {message}", f"assistant: {known}"]
        return f"I know {known} earlier turns."


class HiddenSession(Session):
    """The same, where nobody can look."""

    def __init__(self):
        items = []

        async def answer(message):
            known = len(items)
            await asyncio.sleep(PAUSE_S)
            items.append(message)
            return f"I know {known} earlier turns."

        self.respond = answer
        self.answer = None


class TwoSteps:
    """Appends the message before the call and the reply after it (Google ADK, AutoGen)."""

    def __init__(self):
        self.events = []

    async def answer(self, message):
        self.events.append(f"user: {message}")
        await asyncio.sleep(PAUSE_S)
        self.events.append("assistant: yes")
        return "yes"


class ConcurrencyException(Exception):
    pass


class Raises:
    """Notices, and raises (Strands)."""

    def __init__(self):
        self.busy = False

    async def answer(self, message):
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

    def __init__(self):
        self.inside = threading.Lock()

    def answer(self, message):
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

    def __init__(self):
        self.inside = 0

    async def answer(self, message):
        self.inside += 1
        while True:
            await asyncio.sleep(PAUSE_S)
            if self.inside == 1:
                break
        self.inside -= 1
        return "yes"


async def always_fails(message, history):
    raise ValueError("no model here")

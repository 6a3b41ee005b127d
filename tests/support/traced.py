"""Agents that make spans of their own and log, as agents with tools do."""

from __future__ import annotations

import logging
import threading
from collections.abc import AsyncIterator
from contextvars import copy_context
from typing import Any

import structlog
from opentelemetry import trace

from runner.agents.base import Usage
from tests.support.agents import echo
from tests.support.agents import threaded as in_thread

tracer = trace.get_tracer("tests.support.traced")


async def coroutine(message: str, history: list[dict[str, str]]) -> str:
    with tracer.start_as_current_span("tool"):
        return await echo(message, history)


def function(message: str, history: list[dict[str, str]]) -> str:
    with tracer.start_as_current_span("tool"):
        return in_thread(message, history)


class Agent:
    """Made anew for each conversation."""

    def __init__(self) -> None:
        self.history: list[Any] = []

    async def answer(self, message: str) -> str:
        with tracer.start_as_current_span("tool"):
            return message


def make_agent() -> Agent:
    return Agent()


async def frugal(message: str) -> AsyncIterator[str | Usage]:
    yield Usage(3, 1)
    yield message
    yield Usage(5, 2)


def talkative(message: str) -> str:
    """Logs in its thread, and in one that it starts."""
    logging.getLogger("agent").warning("by the standard library")
    context = copy_context()
    own = threading.Thread(target=context.run, args=(structlog.get_logger().info, "by structlog"))
    own.start()
    own.join()
    return message

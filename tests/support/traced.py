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


async def pieces(message: str, history: list[dict[str, str]]) -> AsyncIterator[str | Usage]:
    """With a tool, and tokens."""
    yield Usage(3, 1)
    with tracer.start_as_current_span("tool"):
        said = await echo(message, history)
    yield said
    yield Usage(5, 2)


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


def talkative(message: str) -> str:
    """Logs in its thread, and in one that it starts."""
    logging.getLogger("agent").warning("by the standard library")
    context = copy_context()
    own = threading.Thread(target=context.run, args=(structlog.get_logger().info, "by structlog"))
    own.start()
    own.join()
    return message

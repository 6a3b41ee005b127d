"""One turn at a time, for an agent that may answer in one conversation only."""

from __future__ import annotations

import asyncio
from typing import Any

import structlog

from runner.agents.threads import AgentHangs
from strategies.engine import GIVE_UP_SLOT_S

HANGS_AFTER_S = 5.0
"""An agent that was told to stop may put things in order for so long."""

HANGS = (
    "The agent answers one turn at a time, and one that was given up has not ended. Send the "
    "message again when it has."
)

log = structlog.get_logger(__name__)


class OneAtATime:
    """Whoever enters waits until the turn before has left.

    `max_running` is 1 for such an agent. But a turn that was given up may leave its agent at
    work, in a thread, and the next one has its slot. After a while the agent *hangs*: then all
    that wait fail, and all that come, or each would wait in vain until its own end.

    hangs  whether it does now.
    """

    def __init__(self) -> None:
        self.hangs = False
        self._free = asyncio.Lock()
        self._waits: set[asyncio.Timeout] = set()
        self._next_look: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> None:
        """Raises AgentHangs."""
        if self.hangs:
            raise AgentHangs(HANGS)
        limit = asyncio.timeout(None)
        self._waits.add(limit)
        try:
            async with limit:
                await self._free.acquire()
        except TimeoutError:
            raise AgentHangs(HANGS) from None
        finally:
            self._waits.discard(limit)
        task = asyncio.current_task()
        assert task is not None
        self._look(task, 0.0)

    async def __aexit__(self, *error: object) -> None:
        if self._next_look is not None:
            self._next_look.cancel()
        if self.hangs:
            log.info("the agent that hung is back")
        self.hangs = False
        self._free.release()

    def _look(self, task: asyncio.Task[Any], told_s: float) -> None:
        """Each second: for how long has the turn's task been told to end?"""
        if told_s >= HANGS_AFTER_S:
            return self._hang()
        told_s = told_s + GIVE_UP_SLOT_S if task.cancelling() else 0.0
        loop = asyncio.get_running_loop()
        self._next_look = loop.call_later(GIVE_UP_SLOT_S, self._look, task, told_s)
        return None

    def _hang(self) -> None:
        self.hangs = True
        log.warning("the agent hangs, and answers one turn at a time", waiting=len(self._waits))
        for limit in self._waits:
            limit.reschedule(0.0)

"""The boundary around an agent: whatever goes in, what is checked comes out, or `AgentFailed`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from inspect import isawaitable
from typing import Any, cast

from runner.agents.base import CURRENT, Answered, Asked, Hear, Message, Said, unheard
from runner.agents.encoding import NotFinite, Unusable, encoded, too_long
from runner.agents.frameworks.framework import Adapter
from runner.agents.meter import Meter
from runner.agents.requests import InputRequest
from runner.agents.threads import AgentHangs, Threads
from runner.callers import caller_of
from strategies import AgentFailed

KINDS_OF_REQUESTS = ("approval", "question")
LONGEST_ID = 512

AS_IT_IS: NotFinite = "constants"
"""For a state: only Python reads it again."""

MAX_STATE_BYTES = 4_194_304


class Boundary:
    """Calls agents and checks what comes back."""

    def __init__(
        self, threads: Threads, max_reply_bytes: int, max_state_bytes: int = MAX_STATE_BYTES
    ) -> None:
        self._threads = threads
        self._max_reply_bytes = max_reply_bytes
        self._max_state_bytes = max_state_bytes

    async def in_thread(self, function: Callable[[], Any]) -> Any:
        """As `framework.InThread`."""
        return await self._threads.run(function, _caller())

    async def ask(self, adapter: Adapter, asked: Asked, hear: Hear = unheard) -> Said:
        """The agent's reply. Raises AgentFailed, from whatever the agent raised."""

        async def call() -> Said:
            meter = Meter(hear, self._max_reply_bytes, self._max_state_bytes)
            return self._checked(await adapter.answer(asked, meter), meter)

        said: Said = await self._guard(call, asked.history)
        return said

    async def make(self, factory: Callable[[], Any], history: Sequence[Message]) -> Any:
        """What a factory makes; in a thread, for loading a model takes its time."""

        async def call() -> Any:
            made = await self.in_thread(factory)
            return await made if isawaitable(made) else made

        return await self._guard(call, history)

    async def _guard(self, call: Callable[[], Any], history: Sequence[Message]) -> Any:
        """Let nothing of the call through but its value, AgentFailed and cancellation.

        The agent may find and cancel the turn's task, in which it is called. That must not
        come out later, at the commit. Only the strategy knows whose a CancelledError was.
        """
        task = asyncio.current_task()
        assert task is not None
        cancels = task.cancelling()
        value, error = await _outcome(call)
        if task.cancelling() > cancels:
            # Raised here, if it has not been yet: one that the agent swallowed is over.
            _, pending = await _outcome(lambda: asyncio.sleep(0))
            error = error or pending
            if isinstance(error, asyncio.CancelledError):
                raise error
        if (fault := getattr(history, "error", None)) is not None:
            raise fault  # The store's, whatever the agent made of it.
        if error is None:
            return value
        if isinstance(error, AgentHangs):
            raise error
        raise AgentFailed(str(error) if isinstance(error, Unusable) else None) from error

    def _checked(self, answered: object, meter: Meter) -> Said:
        if not isinstance(answered, Answered):
            raise Unusable(f"The agent's adapter returned {type(answered).__name__}.")
        text = meter.whole(answered.text)
        if answered.output is None and answered.state is None and not answered.requests:
            return Said(text)  # As most do.
        bounds = self._max_reply_bytes, "max_reply_bytes"
        output = _bounded("output", answered.output, *bounds)
        requests = _bounded("requests", answered.requests or None, *bounds)
        bounds = self._max_state_bytes, "max_state_bytes"
        state = _bounded("state", answered.state, *bounds, AS_IT_IS)
        _check(answered.requests)
        return Said(text, state, output, requests)


def _check(requests: Sequence[InputRequest]) -> None:
    """Raises Unusable for requests that no client could show or answer."""
    for one in requests:
        texts = cast("tuple[object, ...]", (one.id, one.prompt, one.name))
        if not all(isinstance(text, str) for text in texts) or one.kind not in KINDS_OF_REQUESTS:
            raise Unusable(f"The agent's request has a field of a wrong type: {one!r:.200}")
        if not 0 < len(one.id) <= LONGEST_ID:
            raise Unusable(f"The id of a request has 1 to {LONGEST_ID} characters.")
    if len({one.id for one in requests}) < len(requests):
        raise Unusable("Two of the agent's requests have one id.")


def _bounded(
    noun: str, value: object, most: int, setting: str, not_finite: NotFinite = "null"
) -> bytes | None:
    if value is None:
        return None
    data = encoded(noun, value, not_finite)
    if len(data) > most:
        raise too_long(noun, most, setting)
    return data


def _caller() -> str:
    """Whose turn it is."""
    turn = CURRENT.get(None)
    return "" if turn is None else caller_of(turn.conversation)


async def _outcome(call: Callable[[], Any]) -> tuple[Any, BaseException | None]:
    """What the call gives and what it raises, be it SystemExit: either is None."""
    try:
        return await call(), None
    except BaseException as error:
        return None, error

"""The boundary around an agent: whatever goes in, what is checked comes out, or `AgentFailed`."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from inspect import isawaitable
from typing import Any, Literal, cast

from pydantic_core import PydanticSerializationError, to_json

from runner.agents.base import (
    CURRENT,
    Answered,
    Asked,
    Hear,
    Kind,
    Message,
    Progress,
    Reasoning,
    Said,
    Told,
    ToolCall,
    ToolResult,
    Usage,
    unheard,
)
from runner.agents.frameworks.framework import Adapter
from runner.agents.relay import Relay
from runner.agents.requests import InputRequest
from runner.agents.threads import AgentHangs, Threads
from runner.callers import caller_of
from strategies import AgentFailed

KINDS: dict[type, Kind] = {
    Reasoning: "reasoning", ToolCall: "tool_call", ToolResult: "tool_result", Usage: "usage",
}  # fmt: skip


KINDS_OF_REQUESTS = ("approval", "question")
LONGEST_ID = 512

NotFinite = Literal["null", "constants"]
"""What stands for a number that JSON does not have."""

AS_IT_IS: NotFinite = "constants"
"""For a state: only Python reads it again."""

MAX_STATE_BYTES = 4_194_304


class Unusable(Exception):
    """What came back is no reply. Our own words; an agent's AgentFailed holds the agent's."""


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
            meter = _Meter(self._max_reply_bytes, hear)
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

    def _checked(self, answered: object, meter: _Meter) -> Said:
        if not isinstance(answered, Answered):
            raise Unusable(f"The agent's adapter returned {type(answered).__name__}.")
        bounds = self._max_reply_bytes, "max_reply_bytes"
        text = meter.whole(answered.text)
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


class _Meter:
    """What an adapter emits, checked as it comes, so that no reply is held beyond the bound.

    May be called in the turn's task and in its threads.
    """

    def __init__(self, max_bytes: int, hear: Hear) -> None:
        self._left = max_bytes
        self._max_bytes = max_bytes
        self._hear = hear
        self._relay = Relay(hear)
        self._thread = threading.get_ident()
        self._pieces: list[str] = []

    def __call__(self, piece: str | Progress) -> None:
        if isinstance(piece, str):
            self._count(_size(piece))
            if not piece:  # Nothings without end would fill the memory within any bound of bytes.
                return
            self._pieces.append(piece)
            self._pass_on(piece)
        elif isinstance(piece, Progress):
            told = Told(KINDS[type(piece)], encoded(KINDS[type(piece)], piece))
            self._count(len(told.data))
            self._pass_on(told)
        else:
            raise Unusable(f"The agent gave {type(piece).__name__} as a piece; it must be text.")

    def whole(self, text: str) -> str:
        """The reply's text: all that was emitted, and what the end of `text` adds to it."""
        emitted = "".join(self._pieces)
        if not text.startswith(emitted):
            return emitted  # Of what a client has read nothing can be taken back.
        rest = text[len(emitted) :]
        self._count(_size(rest))
        if emitted and rest:
            self._pass_on(rest)
        return text

    def _count(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise too_long("reply", self._max_bytes, "max_reply_bytes")

    def _pass_on(self, piece: str | Told) -> None:
        if threading.get_ident() == self._thread:
            self._hear(piece)
        else:
            self._relay(piece)


def _size(text: object) -> int:
    """Bytes of it. Raises Unusable for what is no text that can be sent."""
    if not isinstance(text, str):
        raise Unusable(f"The agent returned {type(text).__name__}; it must return text.")
    try:
        return len(text) if text.isascii() else len(text.encode())
    except UnicodeEncodeError:
        refusal = "The agent returned half a surrogate pair, which is no character."
        raise Unusable(refusal) from None


def encoded(noun: str, value: object, not_finite: NotFinite = "null") -> bytes:
    """As JSON. Raises Unusable for what is none."""
    try:
        return to_json(value, inf_nan_mode=not_finite)
    except (PydanticSerializationError, UnicodeError, ValueError, RecursionError) as error:
        raise Unusable(f"The agent's {noun} is no JSON: {error}") from error


def too_long(noun: str, most: int, setting: str) -> Unusable:
    return Unusable(
        f"The agent's {noun} is longer than {most} bytes, which is the bound that "
        f"[agent] {setting} sets."
    )

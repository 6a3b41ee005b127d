"""The boundary around an agent: whatever goes in, text or `AgentFailed` comes out."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Self, TypeGuard, cast

from runner.agents.base import CURRENT, Emit, Message, unheard
from runner.agents.relay import Relay
from runner.agents.threads import AgentHangs, Threads
from runner.callers import caller_of
from strategies import AgentFailed

METHODS = ("answer", "respond", "reply", "chat", "run", "invoke", "__call__")
"""What an agent that is an object may call its one method; the first of these that it has."""


@dataclass(frozen=True, slots=True)
class Callee:
    """Something that answers: how it is called, and in which words to say so."""

    function: Callable[..., Any]
    wants_history: bool
    is_async: bool
    kind: str


def as_callee(target: object) -> Callee | None:
    """How to call a function or an object; None where it cannot be."""
    function, noun = cast("Callable[..., Any]", target), ""
    if not is_function(target):
        name = next((name for name in METHODS if callable(getattr(target, name, None))), None)
        if name is None:
            return None
        function, noun = getattr(target, name), f" ({type(target).__name__}.{name})"
    wanted = required_parameters(function)
    if wanted is None or len(wanted) not in (1, 2):
        return None
    if inspect.isasyncgenfunction(function):
        kind, is_async = f"async generator{noun}", True
    elif inspect.iscoroutinefunction(function):
        kind, is_async = f"async function{noun}", True
    else:
        kind, is_async = f"sync function{noun}, run in threads", False
    return Callee(function, len(wanted) == 2, is_async, kind)


def is_function(target: object) -> TypeGuard[Callable[..., Any]]:
    """Also a method, or either with some arguments given already."""
    return inspect.isroutine(target) or isinstance(target, partial)


def required_parameters(function: Callable[..., Any]) -> list[str] | None:
    """What must be given by position, and `message` and `history` where they may be, or None.

    A wrapper that takes `*args` is believed to pass on both.
    """
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return None
    if any(parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters):
        return ["message", "history"]
    by_position = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [
        parameter.name
        for parameter in parameters
        if parameter.kind in by_position
        and (parameter.default is parameter.empty or parameter.name in ("message", "history"))
    ]


def _caller() -> str:
    """Whose turn it is."""
    turn = CURRENT.get(None)
    return "" if turn is None else caller_of(turn.conversation)


class Caller:
    """Calls agents and checks what comes back."""

    def __init__(self, threads: Threads, max_reply_bytes: int) -> None:
        self._threads = threads
        self._max_reply_bytes = max_reply_bytes

    async def ask(
        self, callee: Callee, message: str, history: Sequence[Message], emit: Emit = unheard
    ) -> str:
        """The agent's reply as text. Raises AgentFailed, from whatever the agent raised."""
        given = (message, history) if callee.wants_history else (message,)
        call = partial(callee.function, *given)
        return str(await self._guard(lambda: self._ask(call, callee.is_async, emit), history))

    async def make(self, factory: Callable[[], Any], history: Sequence[Message]) -> Any:
        """What a factory makes; in a thread, for loading a model takes its time."""

        async def call() -> Any:
            made = await self._threads.run(factory, _caller())
            return await made if inspect.isawaitable(made) else made

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
        raise AgentFailed(str(error) if isinstance(error, _Unusable) else None) from error

    async def _ask(self, call: Callable[[], Any], is_async: bool, emit: Emit) -> str:
        most = self._max_reply_bytes
        if is_async:
            result = call()
        else:
            relayed = _Pieces(most, Relay(emit))
            result = await self._threads.run(lambda: _without_generator(call(), relayed), _caller())
        if inspect.isawaitable(result):
            result = await result
        if not isinstance(result, AsyncIterator):
            return _Pieces(most, unheard).add(result).text
        source, pieces = cast("AsyncIterator[object]", result), _Pieces(most, emit)
        try:
            async for piece in source:
                pieces.add(piece)
        finally:
            if inspect.isasyncgen(source):
                await source.aclose()
        return pieces.text


def _without_generator(result: Any, pieces: _Pieces) -> Any:
    """A sync generator's text, taken in its thread, for taking a piece may block."""
    if not inspect.isgenerator(result):
        return result
    # Left to the garbage collector, its `finally` would run at any time in any thread.
    with closing(cast("Generator[object]", result)) as generator:
        for piece in generator:
            pieces.add(piece)
    return pieces.text


async def _outcome(call: Callable[[], Any]) -> tuple[Any, BaseException | None]:
    """What the call gives and what it raises, be it SystemExit: either is None."""
    try:
        return await call(), None
    except BaseException as error:
        return None, error


class _Unusable(Exception):
    """What came back is no reply. Our own words; an agent's AgentFailed holds the agent's."""


@dataclass(slots=True)
class _Pieces:
    """Text as it comes, checked piece by piece, so that no reply is held beyond the bound."""

    max_bytes: int
    emit: Emit
    size: int = 0
    pieces: list[str] = field(default_factory=list[str])

    def add(self, piece: object) -> Self:
        if not isinstance(piece, str):
            raise _Unusable(f"The agent returned {type(piece).__name__}; it must return text.")
        try:
            self.size += len(piece) if piece.isascii() else len(piece.encode())
        except UnicodeEncodeError:
            refusal = "The agent returned half a surrogate pair, which is no character."
            raise _Unusable(refusal) from None
        if self.size > self.max_bytes:
            raise _Unusable(
                f"The agent's reply is longer than {self.max_bytes} bytes, which is the bound "
                "that [agent] max_reply_bytes sets."
            )
        if piece:  # Nothings without end would fill the memory within any bound of bytes.
            self.pieces.append(piece)
            self.emit(piece)
        return self

    @property
    def text(self) -> str:
        return "".join(self.pieces)

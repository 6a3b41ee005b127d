"""One's own agent, a function or an object: how it is called, and what becomes of what it gives."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import closing
from dataclasses import dataclass, is_dataclass
from functools import partial
from typing import Any, TypeGuard, cast

from pydantic import BaseModel
from pydantic_core import from_json

from runner.agents.base import Answered, Asked, Emit, Json
from runner.agents.boundary import AS_IT_IS
from runner.agents.encoding import Unusable, encoded
from runner.agents.frameworks import RESULTS
from runner.agents.frameworks.framework import InThread
from runner.agents.requests import InputRequired

METHODS = ("answer", "respond", "reply", "chat", "run", "invoke", "__call__")
"""What an agent that is an object may call its one method; the first of these that it has."""

STATE = ("get_state", "set_state")
"""The methods of an object whose state is kept with the history."""


@dataclass(frozen=True, slots=True)
class Call:
    """How a function or an object is called, and in which words to say so."""

    function: Callable[..., Any]
    wants_history: bool
    history_first: bool
    takes_parts: bool
    is_async: bool
    is_method: bool
    kind: str
    get_state: Callable[[], Any] | None = None
    set_state: Callable[[Json], Any] | None = None


def as_call(target: object) -> Call | None:
    """How to call it; None where it cannot be."""
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
    takes_parts = "parts" in inspect.signature(function).parameters
    stateful = target if noun else target.__self__ if inspect.ismethod(target) else None
    methods = [getattr(stateful, name, None) for name in STATE]
    if inspect.isclass(stateful) or not all(map(callable, methods)):
        methods = [None, None]
    is_method = stateful is not None and not inspect.isclass(stateful)
    history_first = wanted == ["history", "message"]
    facts = len(wanted) == 2, history_first, takes_parts, is_async, is_method
    return Call(function, *facts, kind, *methods)


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
        and parameter.name != "parts"
        and (parameter.default is parameter.empty or parameter.name in ("message", "history"))
    ]


class OwnAgent:
    """An adapter, as those of the frameworks are."""

    def __init__(self, call: Call, in_thread: InThread) -> None:
        self._call = call
        self._in_thread = in_thread
        self._blank: bytes | None = None
        """Its state before its first turn, with which every conversation begins."""

    async def answer(self, asked: Asked, emit: Emit) -> Answered:
        call = self._call
        if call.set_state is not None:
            await self._load(call.set_state, asked.state)
        given: list[Any] = [asked.message, asked.history][: 1 + call.wants_history]
        if call.history_first:
            given.reverse()
        more = {"parts": _parts(asked)} if call.takes_parts else {}
        try:
            result = await self._result(partial(call.function, *given, **more), emit)
        except InputRequired as required:
            result = required
        state = None if call.get_state is None else await self._do(call.get_state)
        return _answered(result, state)

    async def _load(self, set_state: Callable[[Json], Any], state: Json) -> None:
        if self._blank is None:
            assert self._call.get_state is not None
            blank = await self._do(self._call.get_state)
            self._blank = encoded("state", blank, AS_IT_IS)
        await self._do(partial(set_state, from_json(self._blank) if state is None else state))

    async def _do(self, method: Callable[[], Any]) -> Any:
        """Call a method for its state where the agent itself is called."""
        result = method() if self._call.is_async else await self._in_thread(method)
        return await result if inspect.isawaitable(result) else result

    async def _result(self, call: Callable[[], Any], emit: Emit) -> object:
        """What it returns; of a generator, "" once all its pieces were emitted."""
        if self._call.is_async:
            result = call()
        else:
            result = await self._in_thread(lambda: _drained(call(), emit))
        if inspect.isawaitable(result):
            result = await result
        if not isinstance(result, AsyncIterator):
            return result
        source = cast("AsyncIterator[object]", result)
        try:
            async for piece in source:
                _emit(piece, emit)
        finally:
            if inspect.isasyncgen(source):
                await source.aclose()
        return ""


def _drained(result: Any, emit: Emit) -> Any:
    """A sync generator's pieces are taken in its thread, for taking a piece may block."""
    if not inspect.isgenerator(result):
        return result
    # Left to the garbage collector, its `finally` would run at any time in any thread.
    with closing(cast("Generator[Any]", result)) as generator:
        for piece in generator:
            _emit(piece, emit)
    return ""


def _emit(piece: Any, emit: Emit) -> None:
    if isinstance(piece, InputRequired):
        raise piece
    emit(piece)


def _answered(result: object, state: Json) -> Answered:
    kind = type(result).__name__
    if isinstance(result, str):
        return Answered(result, state)
    if isinstance(result, InputRequired):
        return Answered("", state, requests=result.requests)
    if type(result).__module__.startswith(RESULTS):
        raise Unusable(
            f"The agent returned {kind}, a framework's result: return its text, "
            "or serve the framework's agent itself, so that its state is kept."
        )
    if _is_data(result):
        data = encoded(f"output ({kind})", result)
        return Answered(data.decode(), state, from_json(data))
    raise Unusable(
        f"The agent returned {kind}; it must return text, or a dict, a list, "
        "a dataclass or a pydantic model."
    )


def _is_data(result: object) -> bool:
    return isinstance(result, dict | list | BaseModel) or is_dataclass(result)


def _parts(asked: Asked) -> list[Any]:
    return list(asked.parts) or [{"type": "text", "text": asked.message}]

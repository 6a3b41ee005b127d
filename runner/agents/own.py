"""One's own agent, a function or an object, and what becomes of what it gives."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import closing, suppress
from dataclasses import is_dataclass
from functools import partial
from typing import Any, cast

from pydantic import BaseModel
from pydantic_core import from_json

from runner.agents.base import Answered, Asked, Emit, Json
from runner.agents.boundary import AS_IT_IS
from runner.agents.call import Call, as_call
from runner.agents.encoding import Unusable, encoded
from runner.agents.frameworks import RESULTS, recognise
from runner.agents.frameworks.framework import InThread, Unsupported
from runner.agents.requests import InputRequired


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
        try:
            result = await self._result(_bound(call, asked), emit)
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
    if _is_agent(result):
        raise Unusable(
            f"The agent returned {kind}, which is an agent: so it is a factory, and its parameters "
            "need default values, or values in [agent.options]."
        )
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


def _is_agent(result: object) -> bool:
    # To recognise loads all adapters, while the event loop waits: only for what may be one.
    if not type(result).__module__.startswith((*RESULTS, "agents.")):
        return not _is_data(result) and as_call(result) is not None
    with suppress(Unsupported):
        return recognise(result) is not None
    return False


def _is_data(result: object) -> bool:
    return isinstance(result, dict | list | BaseModel) or is_dataclass(result)


def _bound(call: Call, asked: Asked) -> Callable[[], Any]:
    """The call with its arguments."""
    parts = list(asked.parts) or [{"type": "text", "text": asked.message}]
    given = {"message": asked.message, "history": asked.history, "parts": parts}
    by_name = {name: given[known] for name, known in call.arguments.by_name.items()}
    return partial(call.function, *(given[one] for one in call.arguments.by_position), **by_name)

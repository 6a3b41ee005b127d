"""DSPy: any `Module` that takes one text, and a `History` if it is to remember.

State: the history's messages, `{input: message, output: reply}`. Tools' results are in it only
with ReActV2, which gives back a history of its own.

A module answers by its one output that is a text, beside `reasoning`. If there are others, all
are in the turn's `output`. Pieces come from Predict, ChainOfThought and ReAct, see `dspy_stream`.

An `async def` tool is awaited, but any other one runs on the event loop, where nothing else goes
on meanwhile. A module without `aforward` runs in a thread, and its turn ends when that does.

DSPy's own record of all calls is off: it would keep every conversation in memory. Its cache on
disk is not, for it is the model's: `dspy.LM(..., cache=False)`.
"""

from __future__ import annotations

import inspect
import json
from contextlib import suppress
from typing import Any, get_args, get_type_hints

from pydantic_core import to_jsonable_python

from runner.agents.base import Answered, Asked, Emit, ToolCall, ToolResult, Usage
from runner.agents.frameworks.dspy.stream import Stream
from runner.agents.frameworks.framework import Framework, InThread, Unsupported, load

UNKEPT = ("trajectory", "history", "termination_reason")
ASIDE = ("reasoning", *UNKEPT)
"""What modules give beside their reply."""


class DSPy:
    def __init__(self, module: Any, in_thread: InThread) -> None:
        self._module = module
        self._in_thread = in_thread
        self._dspy = load("dspy")
        self._input, self._history = _inputs(module, self._dspy.History)

    async def answer(self, asked: Asked, emit: Emit) -> Answered:
        past: list[Any] = asked.state or []
        inputs: dict[str, Any] = {self._input: asked.message}
        if self._history:
            inputs[self._history] = self._dspy.History(messages=past)
        stream = Stream(self._module, emit)
        quiet: dict[str, Any] = {"disable_history": True, "trace": None}
        callbacks = [*self._dspy.settings.callbacks, _tool_teller(emit)]
        with (
            self._dspy.context(callbacks=callbacks, **quiet, **stream.context),
            load("dspy.utils.usage_tracker").track_usage() as usage,
        ):
            result = await self._call(inputs)
        _tell_usage(usage.get_total_tokens(), emit)
        is_prediction = isinstance(result, self._dspy.Prediction)
        given: dict[str, Any] = dict(result.items()) if is_prediction else {"answer": result}
        text, output = _reply(given)
        return Answered(stream.finish(text), self._state(asked.message, past, given), output)

    async def _call(self, inputs: dict[str, Any]) -> Any:
        if _forward(self._module, "aforward"):
            return await self._module.acall(**inputs)
        return await self._in_thread(lambda: self._module(**inputs))

    def _state(self, message: str, past: list[Any], given: dict[str, Any]) -> Any:
        if not self._history:
            return None
        if _is_react_v2(self._module):
            return to_jsonable_python(given["history"].messages, fallback=str)
        kept = {name: value for name, value in given.items() if name not in UNKEPT}
        return [*past, to_jsonable_python({self._input: message, **kept}, fallback=str)]


def _inputs(module: Any, history: Any) -> tuple[str, str | None]:
    """The names of the text's input and of the history's. Raises Unsupported."""
    inputs = _annotations(module)
    untyped = inspect.Parameter.empty
    past, free = None, dict[str, Any]()
    for name, (kind, is_needed) in inputs.items():
        if history in (kind, *get_args(kind)) or (name, kind) == ("history", untyped):
            past = name
        elif is_needed:
            free[name] = kind
    if len(free) == 1 and set(free.values()) <= {str, Any, untyped}:
        # A ReActV2 takes a history though its signature has none.
        return next(iter(free)), "history" if _is_react_v2(module) else past
    raise Unsupported(
        f"{type(module).__name__} takes {', '.join(free) or 'nothing'}, and not one text. "
        "Wrap it in a module that says what the rest is:\n"
        "    class Agent(dspy.Module):\n"
        "        async def aforward(self, question: str, history: dspy.History):\n"
        "            return await inner.acall(question=question, history=history, ...)"
    )


def _annotations(module: Any) -> dict[str, tuple[Any, bool]]:
    """What the module takes: of each its type, and whether it must be given."""
    forward = _forward(module, "aforward") or _forward(module, "forward")
    parameters = list(inspect.signature(forward).parameters.values())[1:]
    if not any(one.kind is one.VAR_KEYWORD for one in parameters):
        types: dict[str, Any] = {}
        with suppress(NameError):  # Of what only type checkers import.
            types = get_type_hints(forward)
        return {p.name: (types.get(p.name, p.empty), p.default is p.empty) for p in parameters}
    signatures = (getattr(one, "signature", None) for one in (module, *module.predictors()))
    signature: Any = next((one for one in signatures if hasattr(one, "input_fields")), None)
    fields: dict[str, Any] = signature.input_fields if signature else {}
    return {name: (field.annotation, field.is_required()) for name, field in fields.items()}


def _forward(module: Any, name: str) -> Any:
    """The function itself: DSPy warns of who takes it from the module."""
    return getattr(module.__class__, name, None)


def _is_react_v2(module: Any) -> bool:
    return any(one.__name__ == "ReActV2" for one in type(module).__mro__)


def _reply(given: dict[str, Any]) -> tuple[str, Any]:
    """Text, and JSON where there is more than that."""
    said = {name: value for name, value in given.items() if name not in ASIDE} or given
    texts = [value for value in said.values() if isinstance(value, str)]
    whole = next(iter(said.values())) if len(said) == 1 else said
    output = to_jsonable_python(whole, fallback=str)
    if len(texts) == 1:
        return texts[0], None if len(said) == 1 else output
    return json.dumps(output, ensure_ascii=False), output


def _tool_teller(emit: Emit) -> Any:
    """A callback that tells of the user's tools, and not of ReAct's own `finish`."""
    teller: Any = load("dspy.utils.callback").BaseCallback()
    names: dict[str, str] = {}

    def started(call_id: str, instance: Any, inputs: dict[str, Any]) -> None:
        if not str(instance.func.__module__).startswith("dspy.predict."):
            names[call_id] = instance.name
            arguments = to_jsonable_python(inputs.get("kwargs", inputs), fallback=str)
            emit(ToolCall(call_id, instance.name, arguments))

    def ended(call_id: str, outputs: Any, exception: BaseException | None = None) -> None:
        if name := names.pop(call_id, None):
            content = str(exception) if exception else outputs
            emit(ToolResult(call_id, name, to_jsonable_python(content, fallback=str)))

    teller.on_tool_start, teller.on_tool_end = started, ended
    return teller


def _tell_usage(by_model: dict[str, dict[str, Any]], emit: Emit) -> None:
    """Nothing where no model counts."""
    used = by_model.values()
    given = sum(one.get("prompt_tokens") or 0 for one in used)
    made = sum(one.get("completion_tokens") or 0 for one in used)
    if given or made:
        emit(Usage(given, made))


FRAMEWORK = Framework(
    name="DSPy",
    package="dspy",
    version="3.4.1",
    classes=frozenset({("dspy.primitives.module", "Module")}),
    adapt=DSPy,
    uses_threads=True,
)

"""What a smolagents agent does in a turn, told as it happens, and its reply.

A `ToolCallingAgent` that streams gives the arguments of `final_answer` piece by piece, so the
reply can be read before the call is complete.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, cast

from pydantic_core import from_json

from runner.agents.base import Emit, Reasoning, ToolCall, ToolResult
from runner.agents.frameworks.framework import load
from runner.agents.frameworks.smolagents.steps import as_json


class Telling:
    """Tells what happens, and keeps count of how much of the reply has been told."""

    def __init__(self, agent: Any, tell: Emit) -> None:
        memory, models = load("smolagents.memory"), load("smolagents.models")
        agents, tools = load("smolagents.agents"), load("smolagents.default_tools")
        self._tell = tell
        self._heard: dict[type, Callable[[Any], None]] = {
            models.ChatMessageStreamDelta: self._delta,
            memory.ToolCall: self._called,
            agents.ToolOutput: self._returned,
            memory.ActionStep: self._step_ended,
            memory.PlanningStep: self._planned,
            memory.FinalAnswerStep: self._answered,
        }
        self._streams = agent.stream_outputs
        # Text that somebody may still refuse or rewrite must not be told yet.
        self._is_final = not agent.final_answer_checks and (
            type(agent.tools["final_answer"]) is tools.FinalAnswerTool
        )
        self._arguments: dict[int, str] = {}
        self._open: dict[str, str] = {}
        self._said = self._answer = ""
        self._output: Any = None

    def __call__(self, event: Any) -> None:
        hear = self._heard.get(event.__class__)
        if hear:
            hear(event)

    def reply(self) -> tuple[str, Any]:
        """The text, and the output where it is none."""
        is_text = isinstance(self._output, str)
        output = None if is_text else as_json(self._output)
        text = str(self._output) if is_text else json.dumps(output)
        if not self._said or self._answer == text:
            return self._said or text, output
        # Another answer than the one that was told, for example a variable's value for its name.
        self._say("\n" + text)
        return self._said, output

    def _say(self, piece: str) -> None:
        if piece:
            self._said += piece
            self._tell(piece)

    def _delta(self, delta: Any) -> None:
        if delta.content:
            self._tell(Reasoning(delta.content))
        for call in delta.tool_calls or ():
            if call.function is None:
                continue
            name, arguments = call.function.name, call.function.arguments
            is_new = call.index not in self._arguments  # Some models repeat the name.
            if name == "final_answer" and is_new and self._is_final:
                self._arguments[call.index] = ""
                if self._said:
                    self._say("\n")
                self._answer = ""
            if call.index in self._arguments and arguments:
                self._arguments[call.index] += arguments
                self._answer_grows(self._arguments[call.index])

    def _answer_grows(self, arguments: str) -> None:
        try:
            given: Any = from_json(arguments, allow_partial="trailing-strings")
        except ValueError:
            return
        answer = cast("Any", given).get("answer") if isinstance(given, dict) else None
        if isinstance(answer, str):
            self._say(answer[len(self._answer) :])
            self._answer = answer

    def _called(self, call: Any) -> None:
        if call.name != "final_answer":
            self._open[call.id] = call.name
            self._tell(ToolCall(call.id, call.name, as_json(call.arguments)))

    def _returned(self, result: Any) -> None:
        name = self._open.pop(result.id, None)
        if name is not None:
            self._tell(ToolResult(result.id, name, as_json(result.output)))

    def _step_ended(self, step: Any) -> None:
        # Code and what failed have no `ToolOutput`.
        for id, name in self._open.items():
            content = str(step.error) if step.error else step.observations
            self._tell(ToolResult(id, name, content))
        self._open.clear()
        self._arguments.clear()
        if step.model_output and not self._streams:
            self._tell(Reasoning(str(step.model_output)))

    def _planned(self, step: Any) -> None:
        if not self._streams:
            self._tell(Reasoning(step.plan))

    def _answered(self, step: Any) -> None:
        self._output = step.output

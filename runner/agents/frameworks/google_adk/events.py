"""What a run of Google ADK tells by its events.

A text comes in partial events, and then once more, whole. Of agents that speak at once, one is
heard as it speaks, and the others when they have finished. An agent's words are a paragraph.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic_core import to_jsonable_python

from runner.agents.base import Emit, Json, Reasoning, ToolCall, ToolResult, Usage
from runner.agents.requests import InputRequest

CONFIRMATION = "adk_request_confirmation"

ASKS = frozenset({CONFIRMATION, "adk_request_input", "adk_request_credential"})
"""Calls by which an agent needs a person."""

# With it end the hints that are ADK's own, and say nothing but the name.
FOR_PROGRAMS = " by responding with a FunctionResponse with an expected ToolConfirmation payload."


class Telling:
    """Emits what happens, and joins the text."""

    def __init__(self, emit: Emit, has_schema: bool) -> None:
        self.text = ""
        self.output: Json = None
        self.requests: list[InputRequest] = []
        self._emit = emit
        self._has_schema = has_schema
        self._tokens = [0, 0]
        self._error = ""
        self._reasoned = False
        self._last_author = ""
        self._speaking: tuple[Any, Any] | None = None
        self._missed: set[tuple[Any, Any]] = set()
        self._waiting: list[tuple[str, str]] = []
        self._open: dict[str, str] = {}

    def tell(self, event: Any) -> None:
        if event.content:
            self._error = ""
        elif event.error_code:
            self._error = f"{event.error_code}: {event.error_message}"
        words, thoughts = text_of(event, thought=False), text_of(event, thought=True)
        if thoughts and (event.partial or not self._reasoned):
            self._emit(Reasoning(thoughts))
        self._reasoned = bool(event.partial and (thoughts or self._reasoned))
        speaker = (event.author, event.branch)
        if event.partial:
            if words:
                self._hear(speaker, words)
            return
        if self._speaking == speaker:
            self._speaking = None
        elif words:
            self._missed.discard(speaker)
            self._waiting.append((event.author, words))
        if self._speaking is None:
            self._say_what_waits()
        self._tell_whole(event, words)

    def end(self) -> None:
        """Raises what a service gave instead of words; what it raises comes out of the run."""
        if self._error:
            raise RuntimeError(self._error)
        if self._open and not self.requests:
            # It raised a CancelledError, and no model takes a call that has no result.
            names = ", ".join(self._open.values())
            raise RuntimeError(f"the run ended before {names} had")
        self._say_what_waits()
        if any(self._tokens):
            self._emit(Usage(*self._tokens))
        if isinstance(self.output, str):  # What a workflow's last function returned.
            self.text, self.output = self.text or self.output, None
        elif self.output is not None and not self.text:
            self.text = json.dumps(self.output)

    def _hear(self, speaker: tuple[Any, Any], words: str) -> None:
        if self._speaking is None and speaker not in self._missed:
            self._speaking = speaker
        if self._speaking == speaker:
            self._say(speaker[0], words)
        else:
            self._missed.add(speaker)

    def _say_what_waits(self) -> None:
        for author, words in self._waiting:
            self._say(author, words)
        self._waiting.clear()

    def _say(self, author: str, words: str) -> None:
        if self.text and author != self._last_author:
            words = "\n\n" + words
        self._last_author = author
        self.text += words
        self._emit(words)

    def _tell_whole(self, event: Any, words: str) -> None:
        for call in event.get_function_calls():
            if call.name in ASKS:
                self.requests.append(input_request(call))
            else:
                self._emit(ToolCall(call.id, call.name, call.args))
                if call.id not in (event.long_running_tool_ids or ()):
                    self._open[call.id] = call.name
        for given in event.get_function_responses():
            self._open.pop(given.id, None)
            if given.id not in event.actions.requested_tool_confirmations:
                self._emit(ToolResult(given.id, given.name, unwrapped(given.response)))
        if event.output is not None:
            self.output = to_jsonable_python(event.output)
        elif event.content is not None:
            self.output = as_json(words) if self._has_schema else None
        usage = event.usage_metadata
        if usage is not None:
            self._tokens[0] += usage.prompt_token_count or 0
            self._tokens[1] += usage.candidates_token_count or 0
            self._tokens[1] += usage.thoughts_token_count or 0


def input_request(call: Any) -> InputRequest:
    args: Any = call.args or {}
    if call.name != CONFIRMATION:
        return InputRequest(prompt=args.get("message") or "", arguments=args, id=call.id)
    original: Any = args["originalFunctionCall"]
    hint = args.get("toolConfirmation", {}).get("hint", "")
    return InputRequest(
        kind="approval",
        prompt="" if hint.endswith(FOR_PROGRAMS) else hint,
        name=original["name"],
        arguments=original.get("args"),
        id=call.id,
    )


def text_of(event: Any, *, thought: bool) -> str:
    parts: Any = event.content.parts or () if event.content else ()
    return "".join(part.text for part in parts if part.text and bool(part.thought) is thought)


def as_json(text: str) -> Json:
    try:
        return json.loads(text)
    except ValueError:
        return None


def unwrapped(response: Mapping[str, Any] | None) -> Json:
    """What a tool gave: what is no dict comes in one."""
    if response is not None and set(response) == {"result"}:
        return to_jsonable_python(response["result"])
    return to_jsonable_python(response)

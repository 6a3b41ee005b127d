"""What an AutoGen agent or team does in a turn, told as it happens, and its reply."""

from __future__ import annotations

import json
from typing import Any

from pydantic_core import to_jsonable_python

from runner.agents.base import Emit, Reasoning, ToolCall, ToolResult, Usage
from runner.agents.frameworks.framework import load


class Telling:
    """
    text    the reply so far.
    output  the same as JSON, where it is structured.
    """

    def __init__(self, agent: Any, emit: Emit) -> None:
        self._messages = load("autogen_agentchat.messages")
        self._emit = emit
        self._speakers = speakers(agent)
        # A graph's agents speak all at once, and their pieces would be mixed up.
        self._streams = not isinstance(agent, load("autogen_agentchat.teams").GraphFlow)
        self._streaming: set[str] = set()
        self._thinks = False
        self._usage = Usage(0, 0)
        self._result: Any = None
        self._is_next = False
        self.text = ""
        self.output: Any = None

    def __call__(self, event: Any) -> None:
        messages = self._messages
        if usage := getattr(event, "models_usage", None):
            told = self._usage
            self._usage = Usage(
                told.input_tokens + usage.prompt_tokens,
                told.output_tokens + usage.completion_tokens,
            )
        if isinstance(event, messages.ModelClientStreamingChunkEvent):
            self._chunk(event)
        elif isinstance(event, messages.ThoughtEvent):
            if event.source not in self._streaming:
                self._emit(Reasoning(event.content))
        elif isinstance(event, messages.BaseChatMessage):
            self._message(event)
        elif isinstance(event, messages.BaseAgentEvent):
            self._work(event)
        else:
            self._result = event

    def end(self) -> Any:
        """The last message, or None."""
        if self._usage != Usage(0, 0):
            self._emit(self._usage)
        if not self._result.messages:
            return None
        last = self._result.messages[-1]
        if not self.text:
            self.text = last.to_text()
        return last

    def _chunk(self, event: Any) -> None:
        if event.source not in self._speakers or not self._streams:
            return
        self._streaming.add(event.source)
        piece = event.content
        # So AutoGen's own clients mark what a model thinks aloud.
        if self._thinks or piece.startswith("<think>"):
            self._thinks = not piece.endswith("</think>")
            thought = piece.removeprefix("<think>").removesuffix("</think>")
            if thought:
                self._emit(Reasoning(thought))
        else:
            self._say(piece)

    def _work(self, event: Any) -> None:
        """What was said before it is no part of the message after it."""
        self._streaming.discard(event.source)
        self._is_next = True
        if isinstance(event, self._messages.ToolCallRequestEvent):
            for call in event.content:
                self._emit(ToolCall(call.id, call.name, _arguments(call.arguments)))
        elif isinstance(event, self._messages.ToolCallExecutionEvent):
            for result in event.content:
                self._emit(ToolResult(result.call_id, result.name, result.content))

    def _message(self, message: Any) -> None:
        messages = self._messages
        if message.source not in self._speakers:
            return
        if isinstance(message, messages.StructuredMessage):
            self.output = to_jsonable_python(message.content)
        is_for_agents = isinstance(message, messages.HandoffMessage | messages.StopMessage)
        if message.source not in self._streaming and not is_for_agents:
            self._is_next = True
            self._say(message.to_text())
        self._streaming.discard(message.source)
        self._is_next = True

    def _say(self, piece: str) -> None:
        if self.text and piece and self._is_next:
            piece = "\n\n" + piece
        if piece:
            self._is_next = False
            self.text += piece
            self._emit(piece)


def speakers(agent: Any) -> set[str]:
    """Whose words are meant for the user."""
    if not hasattr(agent, "_participants"):
        return {agent.name}
    members = [name for member in agent._participants for name in speakers(member)]
    return {agent._group_chat_manager_name, *members}


def _arguments(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text

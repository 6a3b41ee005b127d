"""What of all that is said in a run of a graph is the reply.

The reply is the text of the AI messages that end up in `messages`; what routers, tools and
other agents say to themselves is not. A node's tokens are emitted as they come once one of its
messages is known to get there, or at once where no other node could speak. Until then they are
held back till the end of the step.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic_core import to_jsonable_python

from runner.agents.base import Emit, Reasoning, ToolCall, ToolResult, Usage
from runner.agents.frameworks.framework import load

HOOKS = (".before_agent", ".before_model", ".after_model", ".after_agent")
"""Ends of the names of the nodes that `create_agent` makes of middleware."""


def could_speak(graph: Any) -> list[str]:
    """The nodes whose models may speak to the user, as far as can be told beforehand."""
    tools = load("langgraph.prebuilt").ToolNode
    return [
        name
        for name, node in graph.nodes.items()
        if name != "__start__" and not name.endswith(HOOKS) and not isinstance(node.bound, tools)
    ]


@dataclass(slots=True)
class Stream:
    """What one call of a model has said; `is_live` where it is emitted as it comes."""

    node: str
    is_live: bool
    pieces: list[str | Reasoning] = field(default_factory=list[str | Reasoning])

    @property
    def text(self) -> str:
        return "".join(piece for piece in self.pieces if isinstance(piece, str))


class Reply:
    """The reply of one turn, while the graph runs.

    before  the messages before it.
    speaks  by node, whether all that its models said got into `messages`; it is kept up to date.
    said    texts that the last turn emitted, before an interrupt held their messages back.
    """

    def __init__(
        self, emit: Emit, before: Iterable[Any], speaks: dict[str, bool], said: Iterable[str]
    ) -> None:
        self._emit = emit
        self._types = load("langchain_core.messages")
        self._known = Counter(map(_key, self._types.convert_to_messages(before)))
        self._speaks = speaks
        self._said = list(said)
        self._streams: dict[tuple[str, str], Stream] = {}
        self._step_ended = False
        self._usage = Usage(0, 0)
        self.text = ""

    def token(self, namespace: tuple[str, ...], message: Any, metadata: Mapping[str, Any]) -> None:
        if not isinstance(message, self._types.AIMessageChunk):
            return  # It comes with the step, if it belongs to the reply.
        self._forget_unspoken()
        node = "|".join(name.split(":")[0] for name in (*namespace, metadata["langgraph_node"]))
        call = (metadata["langgraph_checkpoint_ns"], message.id)
        stream = self._streams.setdefault(call, Stream(node, self._speaks.get(node, False)))
        for piece in _pieces(message):
            stream.pieces.append(piece)
            if stream.is_live:
                self._say(piece)

    def step(self, messages: Iterable[Any]) -> None:
        """A step has ended, with these in `messages`."""
        self._forget_unspoken()
        old = self._known.copy()
        for message in self._types.convert_to_messages(messages):
            key = _key(message)
            if old[key]:
                old[key] -= 1
                continue
            self._known[key] += 1
            if isinstance(message, self._types.AIMessage):
                self._spoken(message)
            elif isinstance(message, self._types.ToolMessage):
                content = to_jsonable_python(message.content, fallback=str)
                self._emit(ToolResult(message.tool_call_id, message.name or "", content))
        self._step_ended = True

    def end(self, is_interrupted: bool) -> list[str]:
        """What was said so far whose message may come with the next turn."""
        if is_interrupted:
            return [one.text for one in self._streams.values() if one.is_live and one.text]
        self._step_ended = True
        self._forget_unspoken()
        return []

    def _spoken(self, message: Any) -> None:
        stream = self._stream_of(message)
        if stream is not None:
            self._speaks.setdefault(stream.node, True)
        if message.text in self._said:
            self._said.remove(message.text)
        elif stream is None or not stream.is_live:
            for piece in stream.pieces if stream else _pieces(message):
                self._say(piece)
        for call in message.tool_calls:
            arguments = to_jsonable_python(call["args"], fallback=str)
            self._emit(ToolCall(call["id"] or "", call["name"], arguments))
        if used := message.usage_metadata:
            self._usage = Usage(
                self._usage.input_tokens + used["input_tokens"],
                self._usage.output_tokens + used["output_tokens"],
            )
            self._emit(self._usage)

    def _stream_of(self, message: Any) -> Stream | None:
        # By text first: chunks of one message may have several ids, and nodes may give it another.
        for call, stream in self._streams.items():
            if message.text and stream.text == message.text:
                return self._streams.pop(call)
        for call, stream in self._streams.items():
            if call[1] == message.id and stream.pieces:
                return self._streams.pop(call)
        return None

    def _forget_unspoken(self) -> None:
        """Once a step has ended, what its models said is in `messages`, or never will be."""
        if self._step_ended:
            for stream in self._streams.values():
                if stream.text:
                    self._speaks[stream.node] = False
            self._streams.clear()
            self._step_ended = False

    def _say(self, piece: str | Reasoning) -> None:
        self._emit(piece)
        if isinstance(piece, str):
            self.text += piece


def _key(message: Any) -> str:
    return str(message.id or f"{message.type}:{message.text}")


def _pieces(message: Any) -> list[str | Reasoning]:
    thoughts = [block.get("reasoning") for block in message.content_blocks]
    pieces: list[str | Reasoning] = [Reasoning(thought) for thought in thoughts if thought]
    return [*pieces, str(message.text)] if message.text else pieces

"""A turn's events as the items of a response, with the events of OpenAI's that tell of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from pydantic_core import from_json

from runner.turns.events import Cursor, Event
from runner.turns.live_turn import LiveTurn
from runner.turns.said import prompt_of

Item = dict[str, Any]

Piece = tuple[str, dict[str, Any]]
"""The type of an event, and its members besides `sequence_number`."""


@dataclass(slots=True)
class Output:
    """The items of one turn, as far as its events were fed to it.

    A tool of the agent's is an `mcp_call`, which the server has run: a `function_call` would ask
    the client to run it, and its libraries would try.

    turn_id  is in the ids of the items.
    label    in place of an MCP server's name.
    era      makes the ids of items that are told anew others than they were.
    """

    turn_id: str
    label: str
    era: int = 1
    items: list[Item] = field(default_factory=list[Item])
    usage: dict[str, int] | None = None
    _speaking: int | None = None
    """The message or the reasoning that grows."""
    _calls: dict[str, int] = field(default_factory=dict[str, int])
    _texts: dict[int, list[str]] = field(default_factory=dict[int, list[str]])

    def feed(self, told: Event) -> Iterator[Piece]:
        """What came: text, or what an agent tells besides."""
        if told.kind == "delta":
            yield from self._speak("message", told.text)
        elif told.told is not None:
            data = from_json(told.told.data)
            match told.told.kind:
                case "reasoning":
                    yield from self._speak("reasoning", data["text"])
                case "tool_call":
                    yield from self._call(data)
                case "tool_result":
                    yield from self._result(data)
                case "usage":
                    self.usage = data

    def close(self, *, done: bool) -> Iterator[Piece]:
        """No more of them comes; those that are open are completed, or incomplete."""
        status = "completed" if done else "incomplete"
        yield from self._fall_silent(status)
        for call in [*self._calls]:
            yield self._end_call(call, status)

    def ask(self, requests: list[Any], said: str) -> Iterator[Piece]:
        """What the agent needs a person for."""
        for one in requests:
            if prompt := prompt_of(one, said):
                # Joined, the texts of a reply are what other clients are shown of it.
                is_first = not any(item["type"] == "message" for item in self.items)
                yield from self._speak("message", prompt if is_first else f"\n\n{prompt}")
                yield from self._fall_silent("completed")
            if one["kind"] == "approval":
                arguments = as_text(one.get("arguments", {}))
                item = {"type": "mcp_approval_request", "name": one["name"]}
                item |= {"id": f"mcpr_{self.turn_id}_{one['id']}", "server_label": self.label}
                yield from self._whole(item | {"arguments": arguments})

    # Text.

    def _speak(self, kind: str, text: str) -> Iterator[Piece]:
        index = self._speaking
        if index is None or self.items[index]["type"] != kind:
            yield from self._fall_silent("completed")
            index = self._speaking = len(self.items)
            self._texts[index] = []
            yield from self._open(kind)
        self._texts[index].append(text)
        yield self._of_text(index, "delta", delta=text)

    def _open(self, kind: str) -> Iterator[Piece]:
        index = len(self.items)
        item: Item = {"type": kind, "id": self._id(kind)}
        if kind == "message":
            item |= {"role": "assistant", "status": "in_progress", "content": []}
        else:
            item |= {"status": "in_progress", "summary": []}
        yield from self._add(item)
        yield self._of_part(index, "added", "")

    def _fall_silent(self, status: str) -> Iterator[Piece]:
        index = self._speaking
        if index is None:
            return
        self._speaking = None
        text = "".join(self._texts[index])
        yield self._of_text(index, "done", text=text)
        yield self._of_part(index, "done", text)
        item = self.now(index) | {"status": status}
        self.items[index] = item
        yield self._about("response.output_item.done", index, item=item)

    def now(self, index: int) -> Item:
        """The item, with its text so far."""
        item = self.items[index]
        if index not in self._texts:
            return item
        name = "content" if item["type"] == "message" else "summary"
        return item | {name: [_part(item["type"], "".join(self._texts[index]))]}

    def _of_text(self, index: int, verb: str, **members: str) -> Piece:
        if self.items[index]["type"] == "reasoning":
            kind = f"response.reasoning_summary_text.{verb}"
            return self._about(kind, index, summary_index=0, **members)
        kind = f"response.output_text.{verb}"
        return self._about(kind, index, content_index=0, logprobs=[], **members)

    def _of_part(self, index: int, verb: str, text: str) -> Piece:
        kind = self.items[index]["type"]
        if kind == "message":
            name, place = "response.content_part", "content_index"
        else:
            name, place = "response.reasoning_summary_part", "summary_index"
        return self._about(f"{name}.{verb}", index, part=_part(kind, text), **{place: 0})

    # Tools.

    def _call(self, data: Any) -> Iterator[Piece]:
        yield from self._fall_silent("completed")
        if data["id"] in self._calls:
            yield self._end_call(data["id"], "incomplete")
        index = self._calls[data["id"]] = len(self.items)
        arguments = as_text(data["arguments"])
        item = {"type": "mcp_call", "id": self._id("mcp"), "name": data["name"], "output": None}
        item |= {"arguments": arguments, "server_label": self.label, "error": None}
        yield from self._add(item | {"status": "in_progress"})
        yield self._about("response.mcp_call.in_progress", index)
        yield self._about("response.mcp_call_arguments.done", index, arguments=arguments)

    def _result(self, data: Any) -> Iterator[Piece]:
        index = self._calls.get(data["id"])
        if index is None:
            return  # Of a call that was never told.
        self.items[index] |= {"output": as_text(data["content"])}
        yield self._about("response.mcp_call.completed", index)
        yield self._end_call(data["id"], "completed")

    def _end_call(self, call: str, status: str) -> Piece:
        index = self._calls.pop(call)
        self.items[index]["status"] = status
        return self._about("response.output_item.done", index, item=self.items[index])

    # All.

    def _whole(self, item: Item) -> Iterator[Piece]:
        index = len(self.items)
        yield from self._add(item)
        yield self._about("response.output_item.done", index, item=item)

    def _add(self, item: Item) -> Iterator[Piece]:
        self.items.append(item)
        shown = {"output_index": len(self.items) - 1, "item": dict(item)}
        yield "response.output_item.added", shown

    def _about(self, kind: str, index: int, **members: object) -> Piece:
        members["output_index"] = index
        if "item" not in members:
            members["item_id"] = self.items[index]["id"]
        return kind, members

    def _id(self, kind: str) -> str:
        short = {"message": "msg", "reasoning": "rs"}.get(kind, kind)
        return f"{short}_{self.turn_id}_{self.era}_{len(self.items)}"


def all_of(live: LiveTurn, label: str) -> Output:
    """What there is of the turn now."""
    output = Output(live.turn.id, label, max(live.attempts, 1))
    for told in Cursor().all_new(live):
        for _ in output.feed(told):
            pass
    return output


def as_text(value: object) -> str:
    """JSON, but a text as it is."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _part(kind: str, text: str) -> dict[str, Any]:
    if kind == "message":
        return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    return {"type": "summary_text", "text": text}

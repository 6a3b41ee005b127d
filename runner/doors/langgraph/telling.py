"""A run as it goes on: a stream of events, or one document that is awaited; see `closing`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic_core import from_json

from runner.api import documents as own_documents
from runner.api.exchange import Answer, Headers, to_json
from runner.api.problems import as_answer
from runner.api.stream import event
from runner.doors.langgraph import documents
from runner.doors.langgraph.closing import BLANK
from runner.doors.langgraph.ids import assistant_id, message_id, run_id, thread_id
from runner.doors.langgraph.interrupts import interrupts, opened
from runner.turns.events import Event
from runner.turns.live_turn import LiveTurn
from runner.turns.service import Service

MODES = ("values", "updates", "messages-tuple", "custom")
MESSAGES, VALUES, UPDATES, CUSTOM = "messages-tuple", "values", "updates", "custom"


@dataclass(frozen=True, slots=True)
class RunForm:
    """modes  of the stream; () for a document."""

    service: Service
    modes: tuple[str, ...] = ()

    def ended(self, live: LiveTurn, headers: Headers) -> Answer:
        """It could not be written down, as it was to be."""
        return own_documents.ended_answer(self.service, live, headers)

    def accepted(self, live: LiveTurn, headers: Headers) -> Answer:
        raise AssertionError("a run that is awaited is not answered before it has ended")

    def words(self, live: LiveTurn) -> RunWords | NoWords:
        words = RunWords if self.modes else NoWords
        return words(self.service, live, self.modes)


@dataclass(frozen=True, slots=True)
class CreatedForm:
    """Of a run that is not awaited."""

    service: Service

    def ended(self, live: LiveTurn, headers: Headers) -> Answer:
        document: Any = own_documents.ended(self.service, live)
        if "title" in document and live.row is not None and not live.row.result():
            return as_answer(document, headers)  # It is not there to be asked for again.
        return self.accepted(live, headers)

    def accepted(self, live: LiveTurn, headers: Headers) -> Answer:
        found = (("content-type", "application/json"), *location(live), *headers)
        return Answer(200, found, to_json(documents.run(self.service, live)))

    def words(self, live: LiveTurn) -> NoWords:
        raise AssertionError("a run that is not awaited is not streamed")


def location(live: LiveTurn) -> Headers:
    """From which its clients take the run's id. They put their base URL before it."""
    return (("content-location", f"/threads/{thread_id(live)}/runs/{run_id(live)}"),)


@dataclass(frozen=True, slots=True)
class NoWords:
    """For a document: nothing of what happens meanwhile."""

    service: Service
    live: LiveTurn
    modes: tuple[str, ...] = ()

    @property
    def headers(self) -> Headers:
        [(_, run)] = own = location(self.live)
        return (*own, ("location", f"{run}/join"))

    def opening(self) -> bytes:
        return BLANK

    def encode(self, told: Event) -> bytes:
        return b""


@dataclass(frozen=True, slots=True)
class RunWords:
    """is_again  its client comes back, and knows the run."""

    service: Service
    live: LiveTurn
    modes: tuple[str, ...]
    is_again: bool = False

    @property
    def headers(self) -> Headers:
        [(_, run)] = own = location(self.live)
        wanted = "&".join(f"stream_mode={mode}" for mode in self.modes)
        return (*own, ("location", f"{run}/stream?{wanted}"))

    def opening(self) -> bytes:
        return b"" if self.is_again else self._metadata()

    def _metadata(self) -> bytes:
        attempt = max(1, self.live.attempts)
        return event(to_json({"run_id": run_id(self.live), "attempt": attempt}), "metadata")

    def encode(self, told: Event) -> bytes:
        match told.kind:
            case "delta":
                return self._message(told.id, content=told.text)
            case "queued" | "position":
                if CUSTOM in self.modes:
                    place = own_documents.standing(self.live)
                    return event(to_json({"type": told.kind, **place}), "custom", told.id)
            case "started" if self.live.attempts > 1:
                return self._metadata()
            case "told":
                return self._told(told)
            case "end":
                return self._end()
            case _:
                pass
        return b""

    def _message(self, event_id: str, **fields: object) -> bytes:
        """A message, or a piece of the reply, with what its client may want to know of it."""
        if MESSAGES not in self.modes:
            return b""
        live = self.live
        message = {"type": "AIMessageChunk", "content": "", "id": message_id(live), **fields}
        about = {
            "run_id": run_id(live),
            "thread_id": thread_id(live),
            "assistant_id": assistant_id(self.service.settings),
            "langgraph_node": documents.NODE,
        }
        return event(to_json([message, about]), "messages", event_id)

    def _told(self, told: Event) -> bytes:
        assert told.told is not None
        data: Any = from_json(told.told.data)
        match told.told.kind:
            case "tool_call":
                chunk = {"name": data["name"], "id": data["id"], "index": 0}
                chunk |= {"args": to_json(data["arguments"]).decode(), "type": "tool_call_chunk"}
                return self._message(told.id, tool_call_chunks=[chunk])
            case "tool_result":
                content = data["content"]
                text = content if isinstance(content, str) else to_json(content).decode()
                own = {"type": "tool", "name": data.get("name"), "tool_call_id": data["id"]}
                message = {**own, "content": text, "id": f"{message_id(self.live)}-{data['id']}"}
                return self._message(told.id, **message)
            case "reasoning":
                more = {"reasoning_content": data["text"]}
                return self._message(told.id, additional_kwargs=more)
            case _:
                return b""  # Usage is told at the end: its clients add up what they are told.

    def _end(self) -> bytes:
        ending = self.live.ending
        assert ending is not None
        told = self._usage()
        if UPDATES not in self.modes or ending.reply is None:
            return told
        message = {"type": "ai", "content": ending.reply, "id": message_id(self.live)}
        told += event(to_json({documents.NODE: {"messages": [message]}}), "updates")
        if ending.requests is not None:
            asked = {"__interrupt__": interrupts(opened(ending.requests))}
            told += event(to_json(asked), "updates")
        return told

    def _usage(self) -> bytes:
        counts = [one.data for _, one in self.live.told if one.kind == "usage"]
        if not counts:
            return b""
        usage: dict[str, int] = from_json(counts[-1])
        usage["total_tokens"] = usage.get("input_tokens", 0) + usage.get("output_tokens", 0)
        return self._message("", usage_metadata=usage)


async def last_events(service: Service, live: LiveTurn, modes: tuple[str, ...]) -> bytes:
    """What a stream ends with. The id goes with the last, so that none of them is lost."""
    assert live.ending is not None
    last_id = f"{live.attempts}e"
    if live.ending.cause is not None:
        return event(to_json(documents.error(service, live)), "error", last_id)
    told = b""
    if VALUES in modes:
        told = event(to_json(await documents.values(service, live)), "values")
    return told + event(b"null", "end", last_id)

"""How a client of chat completions is told of a turn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from pydantic_core import from_json

from runner.api import documents
from runner.api.exchange import Answer, Headers, json_answer, to_json
from runner.api.stream import event
from runner.doors.openai.errors import error_object, refuse
from runner.turns.events import Event
from runner.turns.live_turn import LiveTurn
from runner.turns.said import shown
from runner.turns.service import Service
from runner.turns.turn_ids import made_at

DONE = b"data: [DONE]\n\n"


@dataclass(frozen=True, slots=True)
class Completion:
    """A form.

    own, how    the conversation, and what was done to find it: see `whereto.How`.
    ignored     what the client sent and the agent was not told.
    with_usage  the client wants the tokens at the end of a stream.
    """

    service: Service
    own: str
    how: str
    ignored: list[str]
    with_usage: bool

    @property
    def headers(self) -> Headers:
        return (("conversation-id", self.own), ("conversation-found", self.how))

    def ended(self, live: LiveTurn, headers: Headers) -> Answer:
        document = documents.ended(self.service, live)
        if "title" in document:
            return refuse(document, (*self.headers, *headers))
        message = {"role": "assistant", "content": text_of(live)}
        if reasoning := "".join(_told(live, "reasoning", "text")):
            message["reasoning_content"] = reasoning
        choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
        answer = {
            **self.head(live, "chat.completion"),
            "choices": [choice],
            "usage": usage_of(live),
            **self.besides(cast("Mapping[str, Any]", document)),
        }
        return json_answer(answer, 200, (*self.headers, *headers))

    def accepted(self, live: LiveTurn, headers: Headers) -> Answer:
        """To who asked for that by `Prefer`, which is ours and none of OpenAI's."""
        return documents.accepted(live, (*self.headers, *headers))

    def words(self, live: LiveTurn) -> Chunks:
        return Chunks(self, live)

    def head(self, live: LiveTurn, kind: str) -> dict[str, Any]:
        return {
            "id": f"chatcmpl-{live.turn.id}",
            "object": kind,
            "created": made_at(live.turn.id),
            "model": self.service.settings.agent.id,
        }

    def about(self, live: LiveTurn) -> dict[str, Any]:
        """What no client of OpenAI's looks for, and one of ours may."""
        ids = {"conversation_id": self.own, "turn_id": live.turn.id}
        return {"turnline": {**ids, "found": self.how, "ignored": self.ignored}}

    def besides(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """The same of a turn that has a reply, and what that has besides text."""
        names = ("conversation_id", "turn_id", "turn", "waited_ms", "ran_ms", "interrupted")
        turn = {name: document[name] for name in names if name in document}
        turn |= {"found": self.how, "ignored": self.ignored}
        more = {name: document[name] for name in ("requests", "output") if name in document}
        return {"turnline": turn, **more}


class Chunks:
    """The words of a stream."""

    def __init__(self, form: Completion, live: LiveTurn) -> None:
        self.headers = form.headers
        self._form = form
        self._live = live
        self._head = to_json(form.head(live, "chat.completion.chunk"))[:-1]

    def opening(self) -> bytes:
        return self._chunk({"role": "assistant", "content": ""}, **self._form.about(self._live))

    def encode(self, told: Event) -> bytes:
        match told.kind:
            case "delta":
                return self._delta(b"content", to_json(told.text))
            case "told" if told.told is not None and told.told.kind == "reasoning":
                return self._delta(b"reasoning_content", to_json(from_json(told.told.data)["text"]))
            case "end":
                return self._end()
            case _:  # Its place in the line, and what the agent does with its own tools.
                return b""

    def _end(self) -> bytes:
        live, form = self._live, self._form
        document = cast("Mapping[str, Any]", documents.ended(form.service, live))
        if "title" in document:
            return event(to_json({"error": error_object(document)}))
        asked = text_of(live)[len(str(live.text)) :]
        found = self._delta(b"content", to_json(asked)) if asked else b""
        found += self._chunk({}, "stop", **form.besides(document))
        if form.with_usage:
            found += event(b'%b,"choices":[],"usage":%b}' % (self._head, to_json(usage_of(live))))
        return found + DONE

    def _delta(self, name: bytes, text: bytes) -> bytes:
        """By hand: it is nearly all that a stream is."""
        choice = b'{"index":0,"delta":{"%b":%b},"finish_reason":null}' % (name, text)
        return event(b'%b,"choices":[%b]}' % (self._head, choice))

    def _chunk(self, delta: Mapping[str, Any], reason: str | None = None, **more: Any) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        return event(self._head + b"," + to_json({"choices": [choice], **more})[1:])


def text_of(live: LiveTurn) -> str:
    """All that the client is shown, and will send as what was said."""
    assert live.ending is not None
    return shown(live.ending.reply or "", live.ending.requests)


def usage_of(live: LiveTurn) -> dict[str, int]:
    """0 where the agent told nothing, or nobody knows any more: its clients read it unasked."""
    found = [from_json(told.data) for _, told in live.told if told.kind == "usage"]
    used = found[-1] if found else {"input_tokens": 0, "output_tokens": 0}
    prompt, completion = used["input_tokens"], used["output_tokens"]
    total = prompt + completion
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": total}


def _told(live: LiveTurn, kind: str, name: str) -> list[str]:
    return [from_json(told.data)[name] for _, told in live.told if told.kind == kind]

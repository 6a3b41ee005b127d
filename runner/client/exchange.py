"""What is sent, and what an answer means. No I/O: a shell carries it out.

A shell sends `request()`; hands on what arrives, to `begin`, `receive` and `finish`, or that the
connection broke, to `lose`; passes on what these give; waits `pause_s`; and so on until `is_over`.

An Exchange is one turn on its way to its end, over as many connections as that takes: after a
loss its stream is resumed behind the last event, or, where its turn has no name yet, the message
is sent again under the same idempotency key. A Call is a request with one answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar
from urllib.parse import quote

from runner.client.answer import STRANGE, Received
from runner.client.errors import TurnlineError, error_of
from runner.client.patience import Patience
from runner.client.shapes import Event, Reply, Retrying, Started, Usage, Waiting
from runner.client.wire import EventParser, Told, ending_of, event_of, object_of

T = TypeVar("T")
Shown = TypeVar("Shown", covariant=True)


@dataclass(frozen=True, slots=True)
class Sent:
    """A request of HTTP."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes = b""


class Steps(Protocol[Shown]):
    """What a shell carries out."""

    pause_s: float

    @property
    def is_over(self) -> bool: ...

    def request(self) -> Sent: ...

    def begin(self, status: int, headers: Mapping[str, str]) -> None:
        """The head of an answer; the names of its headers are in lower case."""
        ...

    def receive(self, data: bytes) -> Iterator[Shown]: ...

    def finish(self) -> Iterator[Shown]:
        """The answer is whole."""
        ...

    def lose(self, why: str, *, was_sent: bool) -> Iterator[Shown]:
        """There is no answer, or not all of it. `was_sent` is false only for certain."""
        ...


class Exchange:
    """The events of a turn. Give `post`, which begins it, or the `turn_id` of one that is.

    Raises the TurnlineError that it ends with, where that is not a reply.
    """

    def __init__(self, post: Sent | None, turn_id: str, patience: Patience) -> None:
        self.pause_s = 0.0
        self.reply: Reply | None = None
        self._post = post
        self._turn_id = turn_id
        self._last_id = ""
        self._usage: Usage | None = None
        self._patience = patience
        self._answer = Received(0, {})
        self._stream: EventParser | None = None

    @property
    def is_over(self) -> bool:
        return self.reply is not None

    def request(self) -> Sent:
        self.pause_s = 0.0
        if not self._turn_id:
            assert self._post is not None
            return _within(self._patience.left_s, self._post)
        headers = {"accept": "text/event-stream"}
        if self._last_id:
            headers["last-event-id"] = self._last_id
        return Sent("GET", f"/turns/{self._turn_id}/events", headers)

    def begin(self, status: int, headers: Mapping[str, str]) -> None:
        self._answer, self._stream = Received(status, headers), None
        if status == 200 and headers.get("content-type", "").startswith("text/event-stream"):
            self._stream = EventParser()
            self._turn_id = headers.get("location", self._turn_id).rpartition("/")[2]

    def receive(self, data: bytes) -> Iterator[Event]:
        if self._stream is None:
            self._answer.body += data
            return
        for told in self._stream.feed(data):
            if self.is_over:
                return
            event = self._event(told)
            if self._turn_id:  # Without a name it would be told again from the beginning.
                self._patience.go_on()
            if event is not None:
                yield event

    def finish(self) -> Iterator[Event]:
        if self.is_over or self.pause_s:
            return
        if self._stream is not None:
            yield from self.lose("the answer ended in the middle", was_sent=True)
        elif self._answer.status == 200:
            yield self._end(self._answer.document(self._turn_id))
        elif not self._turn_id:
            yield self._again(self._answer.error())
        elif self._answer.status == 404:
            raise self._answer.forgotten(self._turn_id)
        else:  # The request is refused, and not the turn.
            yield self._wait(self._answer.error("unknown"))

    def lose(self, why: str, *, was_sent: bool) -> Iterator[Event]:
        if self.is_over or self.pause_s:
            return
        self.pause_s = self._patience.after_loss(why, self._turn_id, was_sent=was_sent)
        yield Retrying(ConnectionError(why), self.pause_s)

    def _event(self, told: Told) -> Event | None:
        try:
            content = object_of(told.data) or {}
            if told.kind == "failed":  # Its id is not kept: it may not have been the end.
                return self._again(error_of(content))
            if told.id is not None:
                self._last_id = told.id if told.id.isascii() else ""
            if told.kind in ("done", "input_required"):
                return self._end(content)
            event = event_of(told.kind, content)
        except STRANGE as error:
            raise self._answer.strange(self._turn_id) from error
        if isinstance(event, Usage):
            self._usage = event
        if isinstance(event, Waiting | Started) and not self._turn_id:
            self._turn_id = quote(event.turn_id, safe="")  # A proxy may have taken the header.
        return event

    def _end(self, document: dict[str, Any]) -> Reply:
        try:
            ending = ending_of(document, self._usage)
        except STRANGE as error:
            raise self._answer.strange(self._turn_id) from error
        if isinstance(ending, TurnlineError):
            raise ending
        self.reply = ending
        return ending

    def _again(self, error: TurnlineError) -> Retrying:
        """The turn came to this: have another, or ask again for what is not known of it."""
        if self._post is None:
            raise error
        event = self._wait(error)
        if error.outcome == "not_started":
            self._turn_id = self._last_id = ""
        return event

    def _wait(self, error: TurnlineError) -> Retrying:
        self.pause_s = self._patience.after(error)
        return Retrying(error, self.pause_s)


class Call(Generic[T]):
    """A request with one answer, which `parse` makes something of. It may be sent twice."""

    def __init__(
        self, sent: Sent, parse: Callable[[dict[str, Any]], T], patience: Patience
    ) -> None:
        self.pause_s = 0.0
        self.result: T | None = None
        self._sent = sent
        self._parse = parse
        self._patience = patience
        self._answer = Received(0, {})

    @property
    def is_over(self) -> bool:
        return self.result is not None

    def request(self) -> Sent:
        self.pause_s = 0.0
        return _within(self._patience.left_s, self._sent)

    def begin(self, status: int, headers: Mapping[str, str]) -> None:
        self._answer = Received(status, headers)

    def receive(self, data: bytes) -> Iterator[T]:
        self._answer.body += data
        yield from ()

    def finish(self) -> Iterator[T]:
        answer = self._answer
        if answer.status == 404 and self._sent.path.startswith("/turns/"):
            raise answer.forgotten(self._sent.path.rpartition("/")[2])
        if not 200 <= answer.status < 300:
            self.pause_s = self._patience.after(answer.error())
            return
        document = {} if answer.status == 204 else answer.document()
        try:
            self.result = self._parse(document)
        except STRANGE as error:
            raise answer.strange() from error
        yield self.result

    def lose(self, why: str, *, was_sent: bool) -> Iterator[T]:
        self.pause_s = self._patience.after_loss(why, "", was_sent=was_sent)
        yield from ()


def _within(left_s: float, sent: Sent) -> Sent:
    if left_s == float("inf"):
        return sent
    left_ms = str(max(1, int(left_s * 1000)))
    return Sent(sent.method, sent.path, {**sent.headers, "turn-deadline-ms": left_ms}, sent.body)

"""Spans of turns in the wire format of OTLP (protobuf), written straight from what was noted.

The SDK makes an object for each span and a message of it for each: with three spans for a turn
that was a quarter of the turn's CPU time. A turn's spans have always the same few fields.
Numbers of fields: opentelemetry/proto/trace/v1/trace.proto.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from random import getrandbits
from struct import Struct
from time import monotonic_ns, time_ns

Value = str | int | bool

INTERNAL, SERVER = b"\x30\x01", b"\x30\x02"
"""Kinds of spans: field 6."""

TIMES = Struct("<BQBQ").pack
"""Fields 7 and 8, with their tags."""

FLAGS, OF_REMOTE = b"\x85\x01\x01\x01\x00\x00", b"\x85\x01\x01\x03\x00\x00"
"""Field 16: sampled; that the parent is known to be here, or elsewhere."""

FAILED = b"\x7a\x02\x18\x02"
"""Field 15: the status ERROR."""


class TurnTrace:
    """A turn's instants, by `time.monotonic_ns`, and what is said of it.

    trace_id, span_id  of the span `turn`; `parent_id` of the caller's, or b"". In bytes.
    run_id            of the span `run`, or b"" where the agent was not called for it alone.
    elsewhere         the trace and the run of the turn with which it was merged, or None.
    merged            traces and spans of the turns that were merged with it.
    waits             it was accepted, so it has a span `wait`.
    about, about_run  attributes, encoded.
    """

    __slots__ = (
        "about", "about_run", "began_at", "called_at", "elsewhere", "ended_at", "failed", "merged",
        "parent_id", "position", "run_id", "sampled", "since", "span_id", "stopped_at", "trace_id",
        "waits",
    )  # fmt: skip

    def __init__(self, trace_id: bytes, parent_id: bytes, sampled: bool) -> None:
        self.trace_id = trace_id
        self.span_id = new_id()
        self.parent_id = parent_id
        self.sampled = sampled
        self.began_at = self.ended_at = monotonic_ns()
        self.since = time_ns() - self.began_at
        self.called_at = self.stopped_at = 0
        self.position: int | None = None
        self.waits = False
        self.run_id = b""
        self.elsewhere: tuple[bytes, bytes] | None = None
        self.merged: Sequence[tuple[bytes, bytes]] = ()
        self.failed = False
        self.about = self.about_run = b""

    def encoded(self) -> bytes:
        """Its spans."""
        since, trace = self.since, b"\x0a\x10" + self.trace_id
        child = trace + b"\x22\x08" + self.span_id
        times = TIMES(0x39, since + self.began_at, 0x41, since + self.ended_at)
        parent = b"\x22\x08" + self.parent_id if self.parent_id else b""
        made = trace + b"\x12\x08" + self.span_id + parent + b"\x2a\x04turn" + SERVER + times
        made += self.about + (OF_REMOTE if parent else FLAGS)
        if self.elsewhere is not None:
            made += _link(self.elsewhere)
        spans = _span(made + FAILED if self.failed else made)
        if self.waits:
            called_at = self.called_at or self.ended_at
            times = TIMES(0x39, since + self.began_at, 0x41, since + called_at)
            made = child + b"\x12\x08" + new_id() + b"\x2a\x04wait" + INTERNAL + times + FLAGS
            spans += _span(made)
        return spans + self._run(child) if self.run_id else spans

    def _run(self, child: bytes) -> bytes:
        stopped_at = self.stopped_at or self.ended_at
        times = TIMES(0x39, self.since + self.called_at, 0x41, self.since + stopped_at)
        made = child + b"\x12\x08" + self.run_id + b"\x2a\x03run" + INTERNAL + times
        made += self.about_run + FLAGS + b"".join(map(_link, self.merged))
        return _span(made + FAILED if self.failed else made)


class Requests:
    """Makes an ExportTraceServiceRequest of turns; resource and scope are the same in all."""

    def __init__(self, resource: Mapping[str, object], name: str, version: str) -> None:
        known = b"".join(_pair(1, key, str(value)) for key, value in resource.items())
        self._resource = _field(1, known)
        self._scope = _field(1, _field(1, name.encode()) + _field(2, version.encode()))

    def make(self, turns: Iterable[TurnTrace]) -> bytes:
        spans = b"".join([turn.encoded() for turn in turns])
        return _field(1, self._resource + _field(2, self._scope + spans))


def new_id() -> bytes:
    """A span's."""
    return (getrandbits(64) or 1).to_bytes(8)


def attribute(key: str, value: Value) -> bytes:
    """Of a span."""
    return _pair(9, key, value)


known_attribute = lru_cache(maxsize=512)(attribute)
"""The same for what is said of many."""


def _pair(number: int, key: str, value: Value) -> bytes:
    name = _name(key)
    if isinstance(value, str):
        text = value.encode(errors="backslashreplace")
        size = len(text)
        if len(name) + size < 120:  # Most: then each length is a byte, and this is one step.
            lengths = (number << 3 | 2, len(name) + size + 4, name, size + 2, size, text)
            return b"%c%c%b\x12%c\x0a%c%b" % lengths
        told = _field(1, text)
    elif isinstance(value, bool):
        told = b"\x10\x01" if value else b"\x10\x00"
    else:
        told = b"\x18" + _varint(value)
    return _field(number, name + _field(2, told))


@lru_cache(maxsize=512)
def _name(key: str) -> bytes:
    return _field(1, key.encode())


def _link(to: tuple[bytes, bytes]) -> bytes:
    trace_id, span_id = to
    return b"\x6a\x1c\x0a\x10" + trace_id + b"\x12\x08" + span_id


def _span(content: bytes) -> bytes:
    return _field(2, content)


def _field(number: int, content: bytes) -> bytes:
    """One with a length."""
    return bytes((number << 3 | 2,)) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    if 0 <= number < 128:
        return bytes((number,))
    number &= 2**64 - 1  # Two's complement.
    septets = bytearray()
    while number > 127:
        septets.append(number & 127 | 128)
        number >>= 7
    septets.append(number)
    return bytes(septets)

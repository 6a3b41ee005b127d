"""Spans of turns in the wire format of OTLP (protobuf), written straight from what was noted.

The SDK makes an object for each span and a message of it for each: with three spans for a turn
that was a quarter of the turn's CPU time. A turn's spans have always the same few fields.
Numbers of fields: opentelemetry/proto/trace/v1/trace.proto.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache, partial
from random import getrandbits
from struct import Struct
from time import monotonic_ns, time_ns

Value = str | int | bool

SPAN = Struct("<2s16s2s8sBQBQ").pack
"""Fields 1, 2, 7 and 8, with their tags."""

TURN, WAIT, RUN = b"\x2a\x04turn\x30\x02", b"\x2a\x04wait\x30\x01", b"\x2a\x03run\x30\x01"
"""Fields 5 and 6: names and kinds, which are server and internal."""

FLAGS, OF_REMOTE = b"\x85\x01\x01\x01\x00\x00", b"\x85\x01\x01\x03\x00\x00"
"""Field 16: sampled; that the parent is known to be here, or elsewhere."""

FAILED = b"\x7a\x02\x18\x02"
"""Field 15: the status ERROR."""


class TurnTrace:
    """A turn's instants, by `time.monotonic_ns`, and how it belongs to other spans.

    trace_id, span_id  of the span `turn`; `parent_id` of the caller's, or b"". In bytes.
    run_id             of the span `run`, which there is if the agent was called for it alone.
    elsewhere          the trace and the run of the turn with which it was merged, or None.
    merged             traces and spans of the turns that were merged with it.
    waits              it was accepted, so it has a span `wait`.
    """

    __slots__ = (
        "began_at", "called_at", "elsewhere", "ended_at", "merged", "parent_id", "position",
        "run_id", "sampled", "since", "span_id", "stopped_at", "trace_id", "wait_id", "waits",
    )  # fmt: skip

    def __init__(self, trace_id: bytes, parent_id: bytes, sampled: bool) -> None:
        ids = getrandbits(192).to_bytes(24)
        self.span_id, self.wait_id, self.run_id = ids[:8], ids[8:16], ids[16:]
        self.trace_id = trace_id
        self.parent_id = parent_id
        self.sampled = sampled
        self.began_at = self.ended_at = monotonic_ns()
        self.since = time_ns() - self.began_at
        self.called_at = self.stopped_at = 0
        self.position: int | None = None
        self.waits = False
        self.elsewhere: tuple[bytes, bytes] | None = None
        self.merged: Sequence[tuple[bytes, bytes]] = ()

    def encoded(self, about: bytes, about_run: bytes, failed: bool) -> bytes:
        """Its spans, with these attributes."""
        parent = (b"\x22\x08", self.parent_id, OF_REMOTE) if self.parent_id else (FLAGS,)
        link = b"" if self.elsewhere is None else _link(self.elsewhere)
        status, child = FAILED if failed else b"", b"\x22\x08" + self.span_id
        began_at, ended_at = self.began_at, self.ended_at
        called_at, stopped_at = self.called_at or ended_at, self.stopped_at or ended_at
        spans = self._span(self.span_id, began_at, ended_at, TURN, about, *parent, link, status)
        if self.waits:
            spans += self._span(self.wait_id, began_at, called_at, WAIT, child, FLAGS)
        if self.called_at and self.elsewhere is None:
            links = b"".join(map(_link, self.merged)) if self.merged else b""
            parts = RUN, child, about_run, FLAGS, links, status
            spans += self._span(self.run_id, called_at, stopped_at, *parts)
        return spans

    def _span(self, span_id: bytes, began_at: int, ended_at: int, *more: bytes) -> bytes:
        times = 0x39, self.since + began_at, 0x41, self.since + ended_at
        made = SPAN(b"\x0a\x10", self.trace_id, b"\x12\x08", span_id, *times)
        return _field(2, made + b"".join(more))


class Requests:
    """Makes an ExportTraceServiceRequest of spans; resource and scope are the same in all."""

    def __init__(self, resource: Mapping[str, object], name: str, version: str) -> None:
        known = b"".join(_pair(1, key, str(value)) for key, value in resource.items())
        self._resource = _field(1, known)
        self._scope = _field(1, _field(1, name.encode()) + _field(2, version.encode()))

    def make(self, spans: Iterable[bytes]) -> bytes:
        return _field(1, self._resource + _field(2, self._scope + b"".join(spans)))


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


attribute = partial(_pair, 9)
"""Of a span."""

known_attribute = lru_cache(maxsize=512)(attribute)
"""The same for what is said of many."""


@lru_cache(maxsize=512)
def _name(key: str) -> bytes:
    return _field(1, key.encode())


def _link(to: tuple[bytes, bytes]) -> bytes:
    trace_id, span_id = to
    return b"\x6a\x1c\x0a\x10" + trace_id + b"\x12\x08" + span_id


def _field(number: int, content: bytes) -> bytes:
    """One with a length."""
    tag, size = number << 3 | 2, len(content)
    if size < 128:
        return b"%c%c%b" % (tag, size, content)
    return bytes((tag,)) + _varint(size) + content


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

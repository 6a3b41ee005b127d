"""Spans and attributes in OTLP's wire format, as protobuf's own library reads them."""

from __future__ import annotations

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import ScopeSpans, Span

from runner.telemetry.otlp import TurnTrace, Value, attribute


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        *((text * size, "string_value") for text in "aé" for size in (0, 1, 50, 110, 130, 20_000)),
        *((number, "int_value") for number in (0, 127, 128, 2**40, 2**63 - 1, -1)),
        (True, "bool_value"),
        (False, "bool_value"),
    ],
)
def test_an_attribute_is_read_as_it_was_written(value: Value, kind: str) -> None:
    (found,) = Span.FromString(attribute("turnline.some.key", value)).attributes
    assert found.key == "turnline.some.key"
    assert found.value.WhichOneof("value") == kind
    assert getattr(found.value, kind) == value


@pytest.mark.parametrize("sizes", [range(200), range(16_250, 16_400), range(2**21, 2**21 + 1)])
def test_spans_are_read_as_they_were_written_however_long(sizes: range) -> None:
    turn = TurnTrace(b"t" * 16, b"", sampled=True)
    turn.waits, turn.called_at = True, turn.began_at + 1
    for size in sizes:
        text = "a" * size
        spans = ScopeSpans.FromString(turn.encoded(attribute("x", text), b"", failed=False)).spans
        assert [span.name for span in spans] == ["turn", "wait", "run"]
        assert [one.value.string_value for one in spans[0].attributes] == [text]


def test_no_two_spans_have_the_same_id() -> None:
    turns = [TurnTrace(b"t" * 16, b"", sampled=True) for _ in range(100)]
    ids = {id_ for turn in turns for id_ in (turn.span_id, turn.wait_id, turn.run_id)}
    assert len(ids) == 300

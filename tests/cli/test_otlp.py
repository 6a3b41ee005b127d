"""Attributes in OTLP's wire format, as protobuf's own library reads them."""

from __future__ import annotations

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from runner.telemetry.otlp import Value, attribute


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

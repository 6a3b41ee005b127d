"""What counts as a traceparent, by W3C Trace Context."""

from __future__ import annotations

import pytest

from runner.turns.origin import Origin, valid_traceparent

TRACE, SPAN = "a" * 32, "b" * 16


@pytest.mark.parametrize(
    "text",
    [f"00-{TRACE}-{SPAN}-01", f"00-{TRACE}-{SPAN}-00", f"01-{TRACE}-{SPAN}-01-more"],
)
def test_a_valid_one_is_kept_as_it_came(text: str) -> None:
    assert valid_traceparent(f" {text} ") == text
    assert Origin(traceparent=text).trace_id == TRACE


@pytest.mark.parametrize(
    "text",
    [
        "",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"01-{TRACE}-{SPAN}-01more",
        f"01-{TRACE}-{SPAN}-01-{'x' * 201}",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}",
    ],
)
def test_any_other_is_as_if_none_had_come(text: str) -> None:
    assert valid_traceparent(text) == ""

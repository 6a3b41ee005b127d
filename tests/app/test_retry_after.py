"""When to come back: the figure to the millisecond, and the header's whole seconds."""

from __future__ import annotations

import json

import pytest

from runner.api.problems import as_answer, turn_document
from strategies import ConversationBusy, TurnInterrupted


@pytest.mark.parametrize(
    ("measured_s", "told_s", "header"),
    [
        (0.25, 0.25, b"1"),
        (1.2345, 1.234, b"2"),
        (3.0, 3.0, b"3"),
        (0.0, 0.001, b"1"),
        (None, 1, b"1"),
    ],
)
def test_the_document_has_the_measured_time_and_the_header_whole_seconds(
    measured_s: float | None, told_s: float, header: bytes
) -> None:
    answer = as_answer(turn_document(ConversationBusy(retry_after_s=measured_s)))

    assert json.loads(answer.body)["retry_after_s"] == told_s
    assert dict(answer.headers)["retry-after"] == header.decode()


def test_a_turn_that_somebody_interrupted_is_not_to_be_retried() -> None:
    assert "retry-after" not in dict(as_answer(turn_document(TurnInterrupted())).headers)

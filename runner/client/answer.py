"""An answer that is not a stream: a document, a problem, or something that is not ours."""

from __future__ import annotations

from collections.abc import Mapping
from http.client import responses
from typing import Any

from runner.client.errors import OutcomeUnknown, TurnlineError, error_of
from runner.client.shapes import Outcome
from runner.client.wire import object_of

FORGOTTEN = {
    "title": "The server does not know this turn any more",
    "detail": "It was restarted without a store that lasts, or the turn ended long ago, or is "
    "not yours. Whether it was answered is unknown.",
    "outcome": "unknown",
}


STRANGE = (AttributeError, KeyError, TypeError, ValueError)
"""What is raised where a document has not the shape of ours."""


class Received:
    """One answer that is not a stream."""

    def __init__(self, status: int, headers: Mapping[str, str]) -> None:
        self.status = status
        self.body = bytearray()
        self._headers = headers

    def document(self, turn_id: str = "") -> dict[str, Any]:
        content = object_of(bytes(self.body))
        if content is None:
            raise self.strange(turn_id)
        return content

    def problem(self, outcome: Outcome | None = None) -> dict[str, Any]:
        """The problem document; what is known without one, where it has none."""
        told: dict[str, Any] = {
            "title": responses.get(self.status, "No such status"),
            "outcome": "not_started" if 400 <= self.status < 500 else "unknown",
            "retry_after_s": _seconds(self._headers.get("retry-after")),
        }
        told |= (object_of(bytes(self.body)) or {}) | {"status": self.status}
        return told | {"outcome": outcome} if outcome else told

    def error(self, outcome: Outcome | None = None) -> TurnlineError:
        return error_of(self.problem(outcome))

    def strange(self, turn_id: str = "") -> TurnlineError:
        detail = "Is the address that of a Turnline server?"
        told = {"title": "The answer is not what Turnline answers", "detail": detail}
        known = {"status": self.status, "turn_id": turn_id, "outcome": "unknown"}
        return OutcomeUnknown(known | told)

    def forgotten(self, turn_id: str) -> TurnlineError:
        """The turn has a name, so the agent may have been called, whatever a 404 says."""
        return error_of({**self.problem(), **FORGOTTEN, "turn_id": turn_id})


def _seconds(text: str | None) -> float | None:
    """Of a Retry-After that is no date."""
    return float(text) if text is not None and text.isdecimal() else None

"""Problems as OpenAI's error objects, with what its clients need to try again rightly."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from typing import Any

from runner.api.exchange import Answer, Headers, to_json
from runner.api.problems import problem_text

TYPES = {429: "rate_limit_error", 401: "authentication_error", 404: "not_found_error"}


LEAST_S = 0.5
"""Until a client tries again: its two tries would be gone in milliseconds, as those of an agent
whose turns were quick until now. It is what its clients wait where they are told nothing.
"""


def refuse(document: Mapping[str, Any], headers: Headers) -> Answer:
    """The response. Its clients try 408, 409, 429 and 5xx again by themselves, twice.

    They must not where the turn may have run: it would run three times.
    """
    found: list[tuple[str, str]] = [("content-type", "application/json"), *headers]
    found.append(("turn-outcome", document["outcome"]))
    retry_after_s = document.get("retry_after_s")
    may_retry = document["outcome"] == "not_started" and retry_after_s is not None
    found.append(("x-should-retry", "true" if may_retry else "false"))
    if may_retry and retry_after_s is not None:
        retry_after_s = max(retry_after_s, LEAST_S)
        found.append(("retry-after-ms", str(ceil(retry_after_s * 1000))))
        found.append(("retry-after", str(ceil(retry_after_s))))
    return Answer(document["status"], tuple(found), to_json({"error": error_object(document)}))


def error_object(document: Mapping[str, Any]) -> dict[str, Any]:
    """`message` is all that a person sees of it."""
    status = document["status"]
    kind = TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")
    found = {
        "message": problem_text(document),
        "type": kind,
        "param": document.get("pointer"),
        "code": document["type"].rpartition(":")[2],
    }
    if "requests" in document:  # What an agent needs a person for, before it hears a message.
        found["requests"] = document["requests"]
    return found

"""What a client says in headers about the turn that it asks for."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast, get_args

from runner.api.problems import MALFORMED_REQUEST, RequestError
from runner.settings import OnDisconnect

KEY = re.compile(rb"[\x20-\x7e]{1,255}")
MILLISECONDS = re.compile(rb"[0-9]{1,12}")
URGENCY = re.compile(rb"(?:^|[,\s])u=([0-7])(?=$|[,;\s])")
DEFAULT_URGENCY = 3
MOST_WAIT_S = 86_400


@dataclass(frozen=True, slots=True)
class Preferences:
    """What of `Prefer` (RFC 7240) is honoured here; the rest is ignored, as it says."""

    respond_async: bool = False
    wait_s: float | None = None
    on_disconnect: OnDisconnect | None = None
    applied: str = ""


NO_WISHES = Preferences()


def parse_prefer(headers: Iterable[tuple[bytes, bytes]]) -> Preferences:
    found: dict[str, str] = {}
    values = [value.decode("latin1") for name, value in headers if name == b"prefer"]
    for part in ",".join(values).split(","):
        token, _, said = part.partition(";")[0].partition("=")
        found.setdefault(token.strip().lower(), said.strip().strip('"').lower())
    wait, policy = found.get("wait", ""), found.get("on-disconnect", "")
    is_async = "respond-async" in found
    wait_s = min(int(wait), MOST_WAIT_S) if re.fullmatch(r"\d{1,9}", wait) else None
    on_disconnect = cast(OnDisconnect, policy) if policy in get_args(OnDisconnect) else None
    applied = [f"wait={wait_s}"] if wait_s is not None else ["respond-async"] if is_async else []
    applied += [f"on-disconnect={policy}"] if on_disconnect is not None else []
    return Preferences(is_async, wait_s, on_disconnect, ", ".join(applied))


def parse_priority(value: bytes) -> int:
    """The urgency of RFC 9218, 0 to 7; one that cannot be read counts as none, as it wants."""
    match = URGENCY.search(value)
    return int(match[1]) if match else DEFAULT_URGENCY


def parse_key(value: bytes | None) -> str | None:
    if value is None:
        return None
    if KEY.fullmatch(value) is None:
        detail = "An Idempotency-Key is 1 to 255 characters of printable ASCII."
        raise RequestError(MALFORMED_REQUEST, detail)
    return value.decode()


def parse_deadline(value: bytes | None) -> float | None:
    """Seconds, from `Turn-Deadline-Ms`."""
    if value is None:
        return None
    if MILLISECONDS.fullmatch(value) is None:
        detail = "Turn-Deadline-Ms is a whole number of milliseconds, such as 30000."
        raise RequestError(MALFORMED_REQUEST, detail)
    return int(value) / 1000


def parse_strategy(value: bytes | None, allowed: Iterable[str]) -> str | None:
    if value is None:
        return None
    name = value.decode("latin1").strip().lower()
    if name not in allowed:
        known = ", ".join(allowed) or "none; see [strategy] per_turn in the settings"
        detail = f"Turn-Strategy: {name!r} is not allowed here; allowed: {known}."
        raise RequestError(MALFORMED_REQUEST, detail)
    return name

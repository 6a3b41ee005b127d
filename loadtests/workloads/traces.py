"""One's own traffic, from a log."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

from loadtests.workloads import azure
from loadtests.workloads.clients import USUAL
from loadtests.workloads.workload import Arrival, Workload

TRACE = "trace:"


def from_trace(path: Path, seed: int = 0) -> Workload:
    """The traffic of a log: when each turn came, in which conversation, and how long it ran.

    Reads JSON lines: those of a server's own log (`turn ended`; others are passed
    over), or objects with `at` (seconds), `conversation` and `service_s`. A turn
    that never ran counts with the mean of those that did. Or a CSV as Azure published it
    (see `azure`), whose rows name no conversation: each is one of its own, unless a
    column `Conversation` tells. Raises ValueError where there is no turn that ran.
    """
    try:
        text = path.read_text(errors="replace")
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from error
    turns = sorted(_turns(text), key=lambda turn: turn[0])
    ran = [service_s for _, _, service_s in turns if service_s > 0]
    if not ran:
        raise ValueError(f"{path} has no turn that ran: is it a log of `runner serve --log json`?")
    mean_s, first = sum(ran) / len(ran), turns[0][0]
    arrivals = tuple(
        Arrival(round(at - first, 6), conversation, service_s or mean_s)
        for at, conversation, service_s in turns
    )
    return Workload(f"{TRACE}{path}", seed, mean_s, arrivals[-1].due_s or mean_s, USUAL, arrivals)


def _turns(text: str) -> list[tuple[float, str, float]]:
    if not azure.is_published(text):
        return list(filter(None, map(_traced, text.splitlines())))
    return [
        (at, conversation or f"row-{row}", service_s)
        for row, (at, conversation, service_s) in enumerate(azure.read(text), 1)
    ]


def _traced(line: str) -> tuple[float, str, float] | None:
    try:
        fields = json.loads(line)
        if "at" in fields:
            return float(fields["at"]), str(fields["conversation"]), float(fields["service_s"])
        if fields["event"] != "turn ended":
            return None
        ended = datetime.fromisoformat(fields["timestamp"]).timestamp()
        ran_s, waited_s = fields["ran_ms"] / 1000, fields["waited_ms"] / 1000
        return ended - ran_s - waited_s, str(fields["conversation_id"]), ran_s
    except (ValueError, KeyError, TypeError):
        return None

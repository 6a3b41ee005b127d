"""The checker: were turns lost, duplicated, reordered, orphaned? From records alone.

It trusts no server. What clients were told (each answer, with the turn's number)
is held against what the histories were at the end, and the digest of each history
against a serial replay of its messages through the same hash.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, fields

from loadtests.measures.records import History, Run, parts
from loadtests.workloads.users import message_text
from loadtests.workloads.workload import Workload
from runner.agents.chain import START, make_link


@dataclass(frozen=True, slots=True)
class Findings:
    """What is wrong with a run; all are 0 where nothing is.

    lost        answered with 200, and not in the history at the place that was told.
    duplicated  attempts that are in the history more than once.
    reordered   pairs whose reply came before the other was sent, and that stand the other
                way round (I-6).
    orphaned    in the history, though its client was told that it was not, or nobody sent it.
    stale       turns whose reply does not stand on the turns before it.
    digests     histories whose digest is not that of a serial replay.
    server      counters of the server that disagree, or an exit status that is not 0.
    """

    lost: int = 0
    duplicated: int = 0
    reordered: int = 0
    orphaned: int = 0
    stale: int = 0
    digests: int = 0
    server: int = 0

    def __bool__(self) -> bool:
        return any(getattr(self, field.name) for field in fields(self))

    def __add__(self, other: Findings) -> Findings:
        return Findings(
            *(getattr(self, field.name) + getattr(other, field.name) for field in fields(self))
        )

    def __str__(self) -> str:
        found = ((field.name, getattr(self, field.name)) for field in fields(self))
        return ", ".join(f"{count} {name}" for name, count in found if count) or "none"


def check(run: Run, workload: Workload) -> Findings:
    """The faults of one run."""
    places = {
        message: (history.conversation, place)
        for history in run.histories
        for place, turn in enumerate(history.messages, 1)
        for message in parts(turn)
    }
    return Findings(
        lost=_lost(run, places),
        duplicated=sum(_duplicated(history) for history in run.histories),
        reordered=_reordered(run, places),
        orphaned=_orphaned(run, places),
        stale=sum(history.stale or 0 for history in run.histories),
        digests=sum(not _replays(history, workload) for history in run.histories),
        server=(run.exit_status != 0) + (not run.counters_agree),
    )


Places = dict[str, tuple[str, int]]
"""Where each message stands: its conversation, and its place from 1."""


def _lost(run: Run, places: Places) -> int:
    return sum(
        places.get(f"{turn.number}.{len(turn.attempts)}") != (turn.conversation, turn.answer.number)
        for turn in run.turns
        if turn.answer
    )


def _duplicated(history: History) -> int:
    counts = Counter(message for turn in history.messages for message in parts(turn))
    return sum(count - 1 for count in counts.values())


def _orphaned(run: Run, places: Places) -> int:
    """A client that left, or whose connection broke, was told nothing; its turn may be kept."""
    refused = {
        f"{turn.number}.{index}": tried.status > 0 and tried.status != 200
        for turn in run.turns
        for index, tried in enumerate(turn.attempts, 1)
    }
    return sum(refused.get(message, True) for message in places)


def _reordered(run: Run, places: Places) -> int:
    """Pairs in real-time order that the history has the other way round, at least one for each.

    In order of place, each turn is held against the one before it that was sent last:
    if this one was answered before that was even sent, it should stand before it.
    """
    by_conversation: dict[str, list[tuple[int, float, float]]] = {}
    for turn in run.turns:
        place = places.get(f"{turn.number}.{len(turn.attempts)}")
        if turn.answer and place:
            spans = by_conversation.setdefault(place[0], [])
            spans.append((place[1], turn.answer.sent_s, turn.answer.ended_s))
    swapped = 0
    for spans in by_conversation.values():
        sent_last_s = -1.0
        for _, sent_s, ended_s in sorted(spans):
            swapped += ended_s < sent_last_s
            sent_last_s = max(sent_last_s, sent_s)
    return swapped


def _replays(history: History, workload: Workload) -> bool:
    """Whether the last reply is what one agent alone would have said after these messages."""
    if history.stale is None:
        return True  # Not a chain agent: nothing to compare.
    digest = ""
    for link in _replayed(history, workload):
        digest = json.loads(link)["hash"]
    return digest == history.digest


def _replayed(history: History, workload: Workload) -> Iterator[str]:
    prior = START
    for place, turn in enumerate(history.messages, 1):
        # As the strategy `merge` joins them, unless told otherwise.
        asked = "\n\n".join(_text(message, workload) for message in parts(turn))
        link = make_link(place, prior, asked)
        prior = json.loads(link)["hash"]
        yield link


def _text(message: str, workload: Workload) -> str:
    number = int(message.partition(".")[0])
    return message_text(number, workload.arrivals[number])

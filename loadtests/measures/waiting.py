"""How many wait, and how many users are under way, from instant to instant.

Under reject nobody waits in the server; the users wait in their clients, between attempts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise

from loadtests.measures.records import Run, parts

AT_ONCE = frozenset({409, 429})
"""Refusals that come when a turn is sent: it waits in its client, not in the server."""


def depth(run: Run) -> list[tuple[float, int]]:
    """How many turns waited in the server from each instant on: open there and not running.

    Refusals by 409 and 429 are left out. One by 503 may be a turn whose wait expired,
    which a record does not tell from a full server: it counts while it was open.
    """
    steps: Counter[float] = Counter()
    for turn in run.turns:
        for tried in turn.attempts:
            if tried.status not in AT_ONCE:
                steps[tried.sent_s] += 1
                steps[tried.ended_s] -= 1
    ends = {
        f"{turn.number}.{index}": tried.ended_s
        for turn in run.turns
        for index, tried in enumerate(turn.attempts, 1)
        if tried.status not in AT_ONCE
    }
    for call in run.calls:
        for message in filter(ends.__contains__, parts(call.message)):
            steps[call.began_s] -= 1
            steps[min(call.ended_s, max(call.began_s, ends[message]))] += 1
    return _levels(steps)


def under_way(run: Run) -> list[tuple[float, int]]:
    """How many users were under way from each instant on: first attempt to last end."""
    steps: Counter[float] = Counter()
    for turn in run.turns:
        steps[turn.attempts[0].sent_s] += 1
        steps[turn.attempts[-1].ended_s] -= 1
    return _levels(steps)


def _levels(steps: Mapping[float, int]) -> list[tuple[float, int]]:
    level = 0
    levels: list[tuple[float, int]] = []
    for at in sorted(steps):
        level += steps[at]
        levels.append((at, max(0, level)))
    return levels


def most(levels: Sequence[tuple[float, int]]) -> float:
    return float(max((level for _, level in levels), default=0))


def mean_over_time(levels: Sequence[tuple[float, int]]) -> float:
    if len(levels) < 2:
        return 0.0
    area = sum(level * (after - at) for (at, level), (after, _) in pairwise(levels))
    return area / (levels[-1][0] - levels[0][0])

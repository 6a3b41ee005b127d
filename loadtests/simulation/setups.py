"""A target in words, and the settings that are tried to meet it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from loadtests.controls import dotted
from loadtests.workloads.in_words import parse_seconds
from loadtests.workloads.workload import Workload
from strategies import Limits, registry

DEFAULT = Limits()
BOUNDS = (1, 3, 10, 30)
"""Bounds that are tried first, beside the default; three times as much each."""
NEAR_BOUNDS = (1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 100)
WAITS = 5
"""Values of `max_wait_s` that are tried first, beside the default."""
PATTERN = re.compile(r"p(\d{1,2}(?:\.\d+)?) under (\S+)(?: for (\d+(?:\.\d+)?) ?% of users)?")


@dataclass(frozen=True, slots=True)
class Target:
    """`share` of all users are served, and this percentile of those answered within the limit."""

    percentile: float
    limit_s: float
    share: float

    @classmethod
    def parse(cls, text: str) -> Target:
        """From `p95 under 30s for 99% of users`. Raises ValueError."""
        match = PATTERN.fullmatch(text.strip())
        if match is None:
            raise ValueError(f'{text!r} is not such as "p95 under 30s for 99% of users"')
        share = float(match[3] or 99) / 100
        return cls(float(match[1]) / 100, parse_seconds(match[2]), share)

    def __str__(self) -> str:
        return (
            f"p{self.percentile * 100:.3g} of those answered under {self.limit_s:g} s, "
            f"{self.share * 100:.5g} % of users served"
        )


@dataclass(frozen=True, slots=True)
class Setup:
    """What would stand in the settings. A strategy passes over what it does not take."""

    strategy: str
    slots: int
    bound: int = DEFAULT.max_waiting_per_conversation
    max_wait_s: float | None = DEFAULT.max_wait_s

    @property
    def limits(self) -> Limits:
        return Limits(
            max_running=self.slots,
            max_waiting_per_conversation=self.bound,
            max_wait_s=self.max_wait_s,
        )

    @property
    def settings(self) -> dict[str, int | float]:
        """What must be set: the slots, and what differs from the defaults; what it takes of it."""
        chosen: dict[str, int | float] = {"max_running": self.slots}
        if self.bound != DEFAULT.max_waiting_per_conversation:
            chosen["max_waiting_per_conversation"] = self.bound
        if self.max_wait_s is not None and self.max_wait_s != DEFAULT.max_wait_s:
            chosen["max_wait_s"] = self.max_wait_s
        takes = taken_by(self.strategy)
        return {name: value for name, value in chosen.items() if name in takes}

    def with_slots(self, slots: int) -> Setup:
        return replace(self, slots=slots)

    def as_default(self) -> Setup:
        """The same strategy and slots, and nothing else set."""
        return Setup(self.strategy, self.slots)

    def __str__(self) -> str:
        words = {
            "max_running": "{:g} slots",
            "max_waiting_per_conversation": "bound {:g}",
            "max_wait_s": "wait {:g} s",
        }
        chosen = (words[name].format(value) for name, value in self.settings.items())
        return ", ".join([self.strategy, *chosen]).replace(" 1 slots", " 1 slot")


def taken_by(strategy: str) -> frozenset[str]:
    """The names of the limits that this strategy, or control, takes."""
    return registry.limits_of(dotted(strategy))


def candidates(strategies: Sequence[str], slots: int) -> list[Setup]:
    """The setups that are compared: the server's defaults, with so many slots."""
    return [Setup(name, slots) for name in strategies]


def grid(strategy: str, slots: int, workload: Workload) -> list[Setup]:
    """Every bound with every `max_wait_s` that is tried first, if the strategy takes them.

    The waits go in equal ratios from half a mean service time, below which nothing ends,
    to the clients' timeout, after which an answer is of no use.
    """
    takes = taken_by(strategy)
    bounds: list[int] = [DEFAULT.max_waiting_per_conversation]
    waits: list[float | None] = [DEFAULT.max_wait_s]
    if "max_waiting_per_conversation" in takes:
        bounds += BOUNDS
    if "max_wait_s" in takes:
        timeout = max(1.0, workload.clients.timeout)
        ratio = (timeout / 0.5) ** (1 / (WAITS - 1))
        waits += [_short(workload.service_s * 0.5 * ratio**step) for step in range(WAITS)]
    every = [Setup(strategy, slots, bound, wait) for bound in bounds for wait in waits]
    return list(dict.fromkeys(every))


def near(setup: Setup, workload: Workload, ratio: float) -> list[Setup]:
    """The next smaller and larger bound, and `ratio` of the wait; each changed alone."""
    takes, found = taken_by(setup.strategy), list[Setup]()
    if "max_waiting_per_conversation" in takes:
        smaller = [bound for bound in NEAR_BOUNDS if bound < setup.bound][-1:]
        larger = [bound for bound in NEAR_BOUNDS if bound > setup.bound][:1]
        found += [replace(setup, bound=bound) for bound in smaller + larger]
    if "max_wait_s" in takes:
        now_s = setup.max_wait_s or workload.clients.timeout * workload.service_s
        found += [replace(setup, max_wait_s=_short(now_s * by)) for by in (1 / ratio, ratio)]
    return found


def most_slots(traffic: Sequence[Workload]) -> int:
    """Beyond these, slots are of no use: one for each conversation, or backend of the agent."""
    conversations = max(len({each.conversation for each in one.arrivals}) for one in traffic)
    return min(conversations, traffic[0].backends or conversations)


def _short(seconds: float) -> float:
    """Two digits, as one would write it."""
    return float(f"{seconds:.2g}")

"""What is wrong with a trial? Each failure class by its name, with the evidence."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from loadtests.probe.memory import MARK

CRASH = "crash of the process"
HANG = "hang"
EXCEPTION = "exception"
LOST = "lost turn"
UNANSWERED = "unanswered turns sent"
STALE = "stale context"
NONE = "none seen"

RANKS = (CRASH, HANG, EXCEPTION, LOST, UNANSWERED, STALE)
"""The worst first; a trial is named by the worst that it shows."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What a trial's process said, and how it ended; `status` None for one that had to be ended."""

    events: tuple[Mapping[str, Any], ...]
    status: int | None
    errors: str = ""

    def of(self, event: str) -> list[Mapping[str, Any]]:
        return [said for said in self.events if said["event"] == event]

    @property
    def replies(self) -> dict[int, str]:
        return {said["turn"]: said["text"] for said in self.of("answered")}

    @property
    def memory(self) -> dict[str, list[str]]:
        return next((said["lists"] for said in self.of("memory")), {})


@dataclass(frozen=True, slots=True)
class Finding:
    """A failure and what shows it."""

    kind: str
    evidence: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """A strategy's trials: counts over all of them, and what was found, the worst first."""

    strategy: str
    answered: int
    refused: int
    failed: int
    findings: tuple[Finding, ...] = field(default=())

    @property
    def kind(self) -> str:
        return self.findings[0].kind if self.findings else NONE


def judge(
    strategy: str, trials: Sequence[Trial], serial: Trial, *, repeatable: bool, limit_s: float
) -> Verdict:
    """The verdict on a strategy.

    serial      the same turns, one after the other.
    repeatable  whether two serial trials gave the same replies, so that replies can be held
                against them.
    limit_s     what a trial was given, in seconds.
    """
    found: dict[str, Finding] = {}
    for trial in trials:
        for finding in _findings(trial, serial, repeatable, limit_s):
            found.setdefault(finding.kind, finding)
    return Verdict(
        strategy,
        answered=sum(len(trial.of("answered")) for trial in trials),
        refused=sum(len(trial.of("refused")) for trial in trials),
        failed=sum(len(trial.of("failed")) for trial in trials),
        findings=tuple(found[kind] for kind in RANKS if kind in found),
    )


def _findings(trial: Trial, serial: Trial, repeatable: bool, limit_s: float) -> Iterator[Finding]:
    if trial.status is None:
        ended = {s["turn"] for name in ("answered", "refused", "failed") for s in trial.of(name)}
        still = sorted(said["turn"] for said in trial.of("asked") if said["turn"] not in ended)
        yield Finding(HANG, f"turns {still} had not ended after {limit_s:g} s")
        return
    if not trial.of("done"):
        yield Finding(CRASH, _how_it_died(trial))
        return
    for said in trial.of("failed"):
        yield Finding(EXCEPTION, f"turn {said['turn']} raised {said['error']}")
    yield from _history(trial)
    if not trial.of("failed"):
        # A failed turn is forgotten on purpose, and memory differs then.
        yield from _memory(trial, serial)
    if repeatable and not trial.of("failed") and not trial.of("refused"):
        yield from _replies(trial, serial)


def _how_it_died(trial: Trial) -> str:
    status = trial.status or 0
    how = f"signal {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
    last = trial.errors.strip().splitlines()[-1:] or [""]
    asked = len(trial.of("asked"))
    return f"the process ended by {how} with {asked} turns asked. {last[0][:200]}".strip()


def _history(trial: Trial) -> Iterator[Finding]:
    """The history that the runner keeps: each call should see all turns answered in the end."""
    answered = set(trial.replies)
    for said in trial.of("called"):
        number = _mark(said["message"])
        seen = {_mark(text) for text in said["history"]}
        missing = sorted(turn for turn in answered if turn < number and turn not in seen)
        if missing:
            yield Finding(
                STALE,
                f"turn {number} was asked with a history without turns {missing}, which were sent "
                "before it and answered",
            )
            return


def _memory(trial: Trial, serial: Trial) -> Iterator[Finding]:
    """The agent's own lists, against those of the serial trial."""
    answered = [turn for turn in trial.replies if turn <= max(serial.replies, default=0) - 1]
    for name, expected in serial.memory.items():
        held = trial.memory.get(name, [])
        known = {_mark(text) for text in held}
        kept = {_mark(text) for text in expected}
        lost = sorted(turn for turn in answered if turn in kept and turn not in known)
        if lost:
            yield Finding(
                LOST,
                f"{name} has nothing of turns {lost}, which were answered: {len(held)} entries "
                f"instead of {len(expected)}",
            )
        elif _in_a_row(held) > _in_a_row(expected):
            order = [_mark(text) for text in held if MARK.search(text)]
            yield Finding(
                UNANSWERED,
                f"{name} has {_in_a_row(held)} messages in a row without a reply between them "
                f"(order of the messages: {order}): the model was sent turns still unanswered",
            )


def _in_a_row(entries: Sequence[str]) -> int:
    """The most entries in a row that are one of our messages."""
    most = now = 0
    for text in entries:
        now = now + 1 if "Please answer in one short sentence" in text else 0
        most = max(most, now)
    return most


def _replies(trial: Trial, serial: Trial) -> Iterator[Finding]:
    last = max(serial.replies)
    differ = sorted(
        turn for turn, text in trial.replies.items() if text != serial.replies.get(turn)
    )
    if last in differ and set(differ) == {last}:
        yield Finding(LOST, _differs(trial, serial, last))
    elif differ:
        yield Finding(STALE, _differs(trial, serial, differ[0]))


def _differs(trial: Trial, serial: Trial, turn: int) -> str:
    mine, other = trial.replies[turn], serial.replies.get(turn, "")
    return f"turn {turn} was answered {mine[:120]!r}; one after the other it is {other[:120]!r}"


def _mark(text: str) -> int:
    """The number of the message in the text, -1 for none."""
    match = MARK.search(text)
    return int(match[1]) if match else -1

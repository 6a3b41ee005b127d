"""What `runner probe` says: a table, the evidence below it, and what to do."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from textwrap import wrap

from loadtests.controls import is_control
from loadtests.probe.examination import Examined
from loadtests.probe.judge import DIES, FAILS, FORGETS, HANGS, KEEPS, LOST, MIXES
from loadtests.probe.memory import NOTHING, UNKNOWN
from loadtests.probe.verdict import Verdict

WIDTH = 88

STATE = (
    "What it remembers by itself, the server can neither take back nor bring back. Let it take "
    "`history`, or give it get_state() and set_state(state), and keep nothing elsewhere."
)
ADVICE = {
    DIES: "It ends the server's process: mend that first.",
    HANGS: "It does not answer in time: mend that first, or say --timeout-s if it needs longer.",
    FAILS: "It fails by itself: mend that first.",
    MIXES: "What one conversation says, another can read: keep nothing in globals or in an object "
    "that all share. Take `history`, or serve a class or factory.",
    KEEPS: STATE,
    FORGETS: STATE,
    LOST: STATE,
}
"""By the faults that are seen without overlapping turns, or in spite of a strategy."""

ONLY_OVERLAPPING = "Never call this agent twice at once in a conversation: {} it."
STATELESS = (
    "It remembers nothing from turn to turn, so it had nothing to lose. If it is meant to "
    "remember, let it take `history`, or give it get_state() and set_state(state)."
)
OTHER_WORDS = (
    "Whether it remembers could not be told, so a lost turn would not have been seen. Say --tell "
    "and --ask with sentences that this agent can answer."
)
NO_PROOF = "Nothing was seen to go wrong; that is no proof that nothing can."


def as_json(target: str, examined: Examined) -> str:
    return json.dumps(
        {
            "target": target,
            "kind": examined.facts.kind,
            "loses": examined.facts.loses,
            "memory": examined.memory.kind,
            "verdicts": [
                {**asdict(one), "fault": one.is_fault, "control": is_control(one.strategy)}
                for one in examined.verdicts
            ],
            "advice": list(advice(examined)),
        },
        indent=2,
    )


def as_text(target: str, examined: Examined) -> str:
    head = wrap(f"{target} was taken for: {examined.facts.kind}", WIDTH)
    losses = [line for loss in examined.facts.loses for line in wrap(f"Note: {loss}", WIDTH)]
    said = [line for text in advice(examined) for line in ["", *wrap(text, WIDTH)]]
    return "\n".join([*head, *losses, "", *_table(examined.verdicts),
                      *_evidence(examined.verdicts), *said])  # fmt: skip


def _table(verdicts: Sequence[Verdict]) -> Iterator[str]:
    width = max(len(one.question) for one in verdicts) + 2
    yield f"{'':{width}}answered  refused  failed  verdict"
    for one in verdicts:
        yield f"{one.question:{width}}{one.answered:8}  {one.refused:7}  {one.failed:6}  {one.kind}"


def _evidence(verdicts: Sequence[Verdict]) -> Iterator[str]:
    for one in verdicts:
        if one.findings or one.note:
            yield f"\n{one.question}: {one.kind}"
        if one.note:
            yield f"  {one.note}"
        for finding in one.findings:
            kind = "" if finding.kind == one.kind else f"{finding.kind}: "
            yield f"  {kind}{finding.evidence}"


def advice(examined: Examined) -> Iterator[str]:
    """What follows, in sentences."""
    kinds = {one.kind for one in faults(examined)}
    yield from dict.fromkeys(text for kind, text in ADVICE.items() if kind in kinds)
    yield from _of_overlapping(examined.verdicts)
    if examined.memory.kind == NOTHING:
        yield STATELESS
    elif examined.memory.kind == UNKNOWN and not kinds:
        yield OTHER_WORDS
    elif not any(one.is_fault for one in examined.verdicts):
        yield NO_PROOF


def _of_overlapping(verdicts: Sequence[Verdict]) -> Iterator[str]:
    """What protects an agent to which something happens without protection."""
    if any(one.is_fault and is_control(one.strategy) for one in verdicts):
        tried = [one for one in verdicts if one.strategy and not is_control(one.strategy)]
        safe = [one.strategy for one in tried if not one.is_fault]
        if safe:
            protect = "protects" if len(safe) == 1 else "protect"
            yield ONLY_OVERLAPPING.format(f"{', '.join(safe)} {protect}")


def faults(examined: Examined) -> list[Verdict]:
    """Those for which there is no excuse: seen under a strategy, not under a control."""
    return [one for one in examined.verdicts if one.is_fault and not is_control(one.strategy)]

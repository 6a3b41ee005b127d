"""What a trial came to: the worst that was seen, or that nothing was."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from loadtests.probe.conversation import Conversation
from loadtests.probe.judge import FAULTS, MISSES, STALE, Finding, judge
from loadtests.probe.memory import NOTHING, REMEMBERS, UNKNOWN, Memory

RIGHT = "none seen"
NOTHING_TO_LOSE = "nothing to lose"
SINGLE = "one conversation only"
NOT_TRIED = "not tried"

NO_FAULT = {REMEMBERS: RIGHT, NOTHING: NOTHING_TO_LOSE, UNKNOWN: UNKNOWN}
"""What is said where nothing was seen, by what is known of the agent's memory."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """One line of the table.

    question  what was tried.
    kind      a fault, or one of the words above.
    strategy  under which turns overlapped; "" where none did.
    note      what else is to be known of how it was tried.
    """

    question: str
    kind: str
    strategy: str = ""
    note: str = ""
    findings: tuple[Finding, ...] = field(default=())
    answered: int = 0
    refused: int = 0
    failed: int = 0

    @property
    def is_fault(self) -> bool:
        return self.kind in FAULTS


def findings_of(
    conversations: Sequence[Conversation], memory: Memory | None = None
) -> list[Finding]:
    """What they show, the worst first, each kind once; what is missed only if that says a thing."""
    if memory is None or memory.kind != REMEMBERS:
        unsaid = MISSES
    else:
        unsaid = frozenset() if memory.is_sure else frozenset({STALE})
    found: dict[str, Finding] = {}
    for conversation in conversations:
        for finding in judge(conversation.trial()):
            if finding.kind not in unsaid:
                found.setdefault(finding.kind, finding)
    return [found[kind] for kind in FAULTS if kind in found]


def verdict(
    question: str,
    strategy: str,
    conversations: Sequence[Conversation],
    findings: Sequence[Finding],
    otherwise: str,
    note: str = "",
) -> Verdict:
    """otherwise  what is said where nothing was found."""
    seen = [one for conversation in conversations for one in conversation.seen]
    return Verdict(
        question,
        findings[0].kind if findings else otherwise,
        strategy,
        note,
        tuple(findings),
        answered=sum(one.is_answered for one in seen),
        refused=sum(one.is_refused for one in seen),
        failed=sum(one.is_failed or one.hangs or one.is_lost for one in seen),
    )

"""`runner probe`, run on an agent, and what it has found."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from click.testing import CliRunner, Result

from loadtests.probe.command import probe_command
from tests.support.client import PATIENCE_S

IN_TURN = "one turn after another"
TWO = "two conversations at once"
NOT_KEPT = "a reply that is not kept"
CANCELLED = "a turn that is cancelled"
KILLED = "a turn cut by kill -9, a restart"
FAILING = "a turn that fails"
UNPROTECTED = "overlapping turns, unprotected"
QUEUE = "overlapping turns, queue"

RIGHT = {IN_TURN: "remembers"} | dict.fromkeys((TWO, NOT_KEPT, CANCELLED, KILLED), "none seen")
"""Of an agent without a fault, where turns do not overlap."""


@dataclass(frozen=True)
class Found:
    status: int
    told: dict[str, Any]

    @property
    def kinds(self) -> dict[str, str]:
        return {one["question"]: one["kind"] for one in self.told["verdicts"]}

    def of(self, question: str) -> dict[str, Any]:
        (one,) = (one for one in self.told["verdicts"] if one["question"] == question)
        return dict(one)


def run(target: str, *options: str) -> Result:
    return CliRunner().invoke(probe_command, [target, *options])


def probe(target: str, *options: str, strategies: str = "", limit_s: float = PATIENCE_S) -> Found:
    """Without strategies no turns overlap: each is a server more."""
    words = ("--json", "--strategies", strategies, "--timeout-s", str(limit_s))
    result = run(target, *words, *options)
    assert result.exit_code in (0, 1), result.output
    return Found(result.exit_code, json.loads(result.stdout))

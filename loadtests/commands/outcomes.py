"""What `runner simulate` prints."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from math import inf
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from loadtests.simulation.advice import Outcome, Target
    from loadtests.workloads.workload import Workload


def as_json_text(outcomes: Sequence[Outcome], target: Target | None) -> str:
    def plain(outcome: Outcome) -> dict[str, object]:
        fields = asdict(outcome)
        return {name: None if value == inf else value for name, value in fields.items()}

    found: dict[str, object] = {"outcomes": [plain(outcome) for outcome in outcomes]}
    if target is not None:
        found["recommended"] = plain(outcomes[-1])
        found["meets_target"] = outcomes[-1].meets(target)
    return json.dumps(found, indent=2)


def as_text(outcomes: Sequence[Outcome], traffic: Sequence[Workload], target: Target | None) -> str:
    first = traffic[0]
    turns = sum(len(workload.arrivals) for workload in traffic)
    head = ("", "served", "in time", "p50 s", "p95 s", "p99 s", "attempts", "for nobody", "waiting")
    rows = [head, *(_row(outcome) for outcome in outcomes)]
    width = max(len(row[0]) for row in rows)
    lines = [
        f"{turns:,} users' turns in {len(traffic)} runs of {first.horizon_s:,.0f} s; "
        f"mean service {first.service_s:g} s",
        "",
        *(f"{row[0]:<{width}} " + " ".join(f"{c:>10}" for c in row[1:]) for row in rows),
        "",
        "served: had an answer at last; in time: within one timeout; p50 to p99: time to answer",
        "of all users, retries included; attempts: requests for an answer; for nobody: share of",
        "the agent's work; waiting: most turns that waited at once. Slots are max_running, the",
        "bound is max_waiting_per_conversation.",
    ]
    if target is not None:
        lines += ["", *_advice(outcomes[-1], target)]
    return "\n".join(lines)


def _row(outcome: Outcome) -> tuple[str, ...]:
    times = (outcome.p50_s, outcome.p95_s, outcome.p99_s)
    return (
        str(outcome.setup),
        f"{outcome.served:.1%}",
        f"{outcome.in_time:.1%}",
        *("never" if value == inf else f"{value:.1f}" for value in times),
        f"{outcome.attempts:.2f}",
        f"{outcome.wasted:.1%}",
        f"{outcome.waiting_most:.0f}",
    )


def _advice(best: Outcome, target: Target) -> list[str]:
    if not best.meets(target):
        return [
            f"No setup meets the target ({target}).",
            f"The nearest: {best.setup}; it serves {best.served:.1%} of the users. What would help "
            "is capacity: a faster agent, more of them, or fewer turns in one conversation.",
        ]
    lines = [f"Recommended for {target}:", "", "  [strategy]", f'  name = "{best.setup.strategy}"']
    if best.setup.strategy == "queue":
        lines.append(f"  max_running = {best.setup.slots}")
        lines.append(f"  max_waiting_per_conversation = {best.setup.bound}")
    return lines

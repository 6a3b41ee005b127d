"""What `runner simulate` prints."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from math import inf
from typing import TYPE_CHECKING

from loadtests.controls import dotted

if TYPE_CHECKING:
    from loadtests.measures.intervals import Effect
    from loadtests.simulation.advice import Advice, Traffic
    from loadtests.simulation.setups import Setup
    from loadtests.simulation.trials import Outcome
    from loadtests.workloads.workload import Workload

KEY = """\
served: had an answer within the timeout of the attempt; in time: within one timeout of the
first; p50 to p99: time to answer of all users, retries included; attempts: requests for an
answer; for nobody: share of the agent's work; waiting: most turns that waited at once.
Slots are max_running, the bound is max_waiting_per_conversation, the wait is max_wait_s;
what is not named is the default."""


def as_json_text(outcomes: Sequence[Outcome]) -> str:
    return json.dumps({"outcomes": list(map(_plain, outcomes))}, indent=2)


def as_text(outcomes: Sequence[Outcome], traffic: Sequence[Workload]) -> str:
    head = ("", "served", "in time", "p50 s", "p95 s", "p99 s", "attempts", "for nobody", "waiting")
    rows = [head, *(_row(outcome) for outcome in outcomes)]
    width = max(len(row[0]) for row in rows)
    table = (f"{row[0]:<{width}} " + " ".join(f"{c:>10}" for c in row[1:]) for row in rows)
    return "\n".join([_about(traffic), "", *table, "", KEY])


def advice_as_json(advice: Advice, traffic: Traffic) -> str:
    best, lead, fewer = advice.best, advice.lead, advice.fewer
    found = {
        "outcomes": list(map(_plain, advice.outcomes)),
        "recommended": _plain(best),
        "settings": {"name": dotted(best.setup.strategy), **best.setup.settings},
        "meets_target": advice.meets_target,
        "sure": advice.is_sure and traffic.is_fresh,
        "why": _sureness(advice, traffic),
        "judged_on": {"runs": len(traffic.judging), "fresh": traffic.is_fresh},
        "served": _interval(best.served_share()),
        "next": str(advice.rivals[0].setup) if advice.rivals else None,
        "better_than_next_by": _interval(lead) if lead else None,
        "one_slot_fewer": _plain(fewer) if fewer else None,
    }
    return json.dumps(found, indent=2)


def advice_as_text(advice: Advice, traffic: Traffic) -> str:
    return "\n".join(
        [
            as_text(advice.outcomes, traffic.judging),
            "",
            *_recommendation(advice),
            "",
            *_sureness(advice, traffic),
        ]
    )


def _recommendation(advice: Advice) -> list[str]:
    best = advice.best
    table = ["", *(f"  {line}" for line in strategy_table(best.setup))]
    if advice.meets_target:
        return [f"Recommended for {advice.target}:", *table]
    return [
        f"No setup meets the target ({advice.target}).",
        f"The nearest: {best.setup}; it serves {best.served:.1%} of the users. What would help "
        "is capacity: a faster agent, more of them, or fewer turns in one conversation.",
        *table,
    ]


def strategy_table(setup: Setup) -> list[str]:
    """What to write in runner.toml."""
    values = [f"{name} = {value:g}" for name, value in setup.settings.items()]
    return ["[strategy]", f"name = {json.dumps(dotted(setup.strategy))}", *values]


def _sureness(advice: Advice, traffic: Traffic) -> list[str]:
    """How sure the advice is, in sentences."""
    if not traffic.is_fresh:
        where = "the log is too short to judge on a part that the search did not see"
        return [f"Not sure: {where}, so these figures flatter."]
    runs = f"{len(traffic.judging)} fresh runs"
    if advice.meets_target:
        return _that_it_meets(advice, runs)
    return _that_it_leads(advice, runs)


def _that_it_meets(advice: Advice, runs: str) -> list[str]:
    best, fewer, target = advice.best, advice.fewer, advice.target
    sure = "Sure" if best.clearly_meets(target) else "Not sure, it may be missed by chance"
    lines = [
        f"{sure}: on {runs} it serves {_share(best.served_share())} of the users; "
        f"p{target.percentile * 100:.3g} of those answered is {best.at_target_s:.1f} s."
    ]
    if fewer is not None:
        sure = "Sure" if fewer.clearly_misses(target) else "Not sure, it may do by chance"
        lines.append(
            f"{sure}: one slot fewer is not enough; the closest, {fewer.setup}, serves "
            f"{_share(fewer.served_share())} with {fewer.at_target_s:.1f} s."
        )
    return lines


def _that_it_leads(advice: Advice, runs: str) -> list[str]:
    lines: list[str] = []
    for rival in advice.rivals:
        lead = advice.best.lead_over(rival)
        if lead.is_clear and lead.mean > 0:
            lines.append(f"Sure: better than {rival.setup} by {_signed(lead)} on {runs}.")
        elif lead.is_clear:
            lines.append(f"Sure: {rival.setup} serves more, {_signed(lead)}, but answers too late.")
        else:
            lines.append(f"Not sure: {rival.setup} does as well, {_signed(lead)} on {runs}.")
    return lines


def _share(effect: Effect) -> str:
    if effect.low is None or effect.high is None:
        return f"{effect.mean:.1%} (too few runs for an interval)"
    return f"{effect.mean:.1%} [{max(effect.low, 0):.1%}, {min(effect.high, 1):.1%}]"


def _signed(effect: Effect) -> str:
    if effect.low is None or effect.high is None:
        return f"{effect.mean:+.3f} (too few runs for an interval)"
    return f"{effect.mean:+.3f} [{effect.low:+.3f}, {effect.high:+.3f}]"


def _interval(effect: Effect) -> dict[str, float | None]:
    return {"mean": effect.mean, "low": effect.low, "high": effect.high}


def _plain(outcome: Outcome) -> dict[str, object]:
    fields = asdict(outcome)
    del fields["scores"]
    return {name: None if value == inf else value for name, value in fields.items()}


def _about(traffic: Sequence[Workload]) -> str:
    first = traffic[0]
    turns = sum(len(workload.arrivals) for workload in traffic)
    return (
        f"{turns:,} users' turns in {len(traffic)} runs of {first.horizon_s:,.0f} s; "
        f"mean service {first.service_s:g} s"
    )


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

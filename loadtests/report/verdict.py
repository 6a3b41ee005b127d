"""The verdict: at most five sentences, each with its effect, its interval and its runs.

What they compare is fixed beforehand, but for the last: it is the comparison, of all,
in which the subject does worst, for a report that names no loss would not be believed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from loadtests.controls import is_control
from loadtests.measures.figures import MEASURES
from loadtests.measures.intervals import Effect
from loadtests.report.results import Results, show, show_effect

JUDGED = ("served", "in_time", "goodput")
"""Measures by which a strategy wins or loses; more is better in each."""


@dataclass(frozen=True, slots=True)
class Compared:
    """One comparison: the subject less the other."""

    workload: str
    measure: str
    other: str
    effect: Effect


def verdict(results: Results) -> list[str]:
    """The sentences, each by itself."""
    sentences = [
        _integrity(results),
        _sentence(results, "overload-2", "goodput", "lock"),
        _sentence(results, "overload-2", "served", "reject"),
        _no_difference(results),
        _worst(results),
    ]
    return [sentence for sentence in sentences if sentence]


def _integrity(results: Results) -> str:
    kept = [name for name in results.strategies if not is_control(name)]
    turns = sum(results.turns(name) for name in kept)
    broken = [f"{name} ({results.findings[name]})" for name in kept if results.findings[name]]
    runs = sum(run.strategy in kept for run in results.runs)
    counted = f"{runs} {'run' if runs == 1 else 'runs'}"
    text = f"In {counted} with {turns:,} users' turns under {_and(kept)}, "
    if broken:
        text += f"INTEGRITY FAILED: {_and(broken)}"
    else:
        text += "none was lost, doubled, reordered or orphaned"
    control = results.findings.get("unprotected")
    if control is None:
        return f"{text}."
    stale = control.stale / max(1, _kept_turns(results, "unprotected"))
    return f"{text}; without a strategy {stale:.0%} of the turns kept stand on a stale history."


def _kept_turns(results: Results, strategy: str) -> int:
    runs = (run for run in results.runs if run.strategy == strategy)
    return sum(len(history.messages) for run in runs for history in run.histories)


def _sentence(results: Results, workload: str, measure: str, other: str) -> str:
    """What the fixed comparison came to, if the runs have it."""
    if workload not in results.workloads or other not in results.others:
        return ""
    effect = results.effect(workload, measure, other)
    if effect is None:
        return ""
    mine = show(results.middle(results.subject, workload, measure), measure)
    theirs = show(results.middle(other, workload, measure), measure)
    more = "" if effect.is_clear else " (not a clear difference)"
    if effect.low is None:
        more = " (too few for an interval)"
    return (
        f"Under {workload} the {MEASURES[measure].title} of {results.subject} is {mine}, of "
        f"{other} {theirs}: {show_effect(effect)}{more}."
    )


def _no_difference(results: Results) -> str:
    """Below saturation, among the patient, a queue is no faster than a lock."""
    if "patient" not in results.workloads or "lock" not in results.others:
        return ""
    effect = results.effect("patient", "p95", "lock")
    if effect is None:
        return ""
    return (
        f"Where nobody loses patience (load 0.8) {results.subject} is hardly faster than lock, if "
        f"at all: of a p95 of {show(results.middle('lock', 'patient', 'p95'), 'p95')} service "
        f"times, {show_effect(effect)}."
    )


def _worst(results: Results) -> str:
    compared = sorted(all_compared(results), key=lambda c: _bound(c.effect))
    if not compared:
        return ""
    worst, clear = compared[0], [c for c in compared if c.effect.is_clear and c.effect.mean < 0]
    title = MEASURES[worst.measure].title
    text = (
        f"{results.subject.capitalize()} does not win everywhere: it does worst under "
        f"{worst.workload}, by {title} against {worst.other}: {show_effect(worst.effect)}"
    )
    return f"{text} (of {len(compared)} comparisons it clearly loses {len(clear)})."


def _bound(effect: Effect) -> float:
    """What is at most true of it: the upper end of its interval, or the mean without one."""
    return effect.mean if effect.high is None else effect.high


def all_compared(results: Results) -> Iterator[Compared]:
    """Every workload, measure that is judged and other strategy."""
    for workload in results.workloads:
        for measure in JUDGED:
            for other in results.others:
                effect = results.effect(workload, measure, other)
                if effect is not None:
                    yield Compared(workload, measure, other, effect)


def _and(names: list[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last

"""The answer in three sentences, computed from the data: who wins, where not, how sure it is.

The second is the comparison, of all, in which the subject does worst: a report that names
no loss would not be believed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from loadtests.controls import is_control
from loadtests.measures.figures import MEASURES
from loadtests.measures.intervals import Effect
from loadtests.report.breadth import JUDGED as CELLS
from loadtests.report.breadth import Breadth
from loadtests.report.results import Results
from loadtests.report.words import better, counted, listed, show, versus

JUDGED = ("served", "in_time")
"""Measures by which a strategy wins or loses; more is better in each."""

IN_TIME = "in_time"


@dataclass(frozen=True, slots=True)
class Compared:
    """One comparison: the subject less the other."""

    workload: str
    measure: str
    other: str
    effect: Effect

    @property
    def bound(self) -> float:
        """What is at most true of it: the upper end of its interval, or the mean without one."""
        return self.effect.mean if self.effect.high is None else self.effect.high


def verdict(results: Results, breadth: Breadth | None = None) -> list[str]:
    """The sentences, each by itself; the first two of the simulated cells where there are any."""
    if breadth is not None:
        first, second = _cells_won(breadth), _cells_lost(breadth)
    else:
        first, second = _workloads_won(results), _worst(results)
    return [sentence for sentence in (first, second, _trust(results)) if sentence]


def _cells_won(breadth: Breadth) -> str:
    tallies = {other: breadth.tally(other, IN_TIME) for other in breadth.foremost}
    won = [(other, tally.wins, tally.losses) for other, tally in tallies.items()]
    regret = breadth.worst_regret(breadth.subject, IN_TIME)
    return (
        f"{_won(breadth.subject, won, f'{len(breadth.cells)} simulated cells')}; where it does "
        f"worst, it is {show(regret.size)} behind the best of {len(breadth.strategies)} strategies."
    )


def _won(subject: str, won: list[tuple[str, int, int]], of: str) -> str:
    """`In 4 of 9 cells queue serves clearly more users in time than lock (fewer in 1), ...`."""
    (other, more, fewer), *rest = won
    parts = [f"than {other} (fewer in {fewer})"]
    parts += [f"in {more} than {other} (fewer in {fewer})" for other, more, fewer in rest]
    return f"In {more} of {of} {subject} serves clearly more users in time {listed(parts)}"


def _cells_lost(breadth: Breadth) -> str:
    subject, against = breadth.subject, listed(breadth.foremost, "or")
    lost = [(each.mean, each, of) for of in CELLS for each in breadth.losses(of)]
    if not lost:
        regret = breadth.worst_regret(subject, IN_TIME)
        return (
            f"In no cell does any of {against} clearly serve more, in time or at all; {subject} is "
            f"furthest behind the best in {regret.words}."
        )
    mean, worst, measure = min(lost, key=lambda item: item[0])
    return (
        f"It clearly loses to {against} in {len({each.cell for _, each, _ in lost})} of "
        f"{len(breadth.cells)} cells by users served, in time or at all; most in {worst.cell}: "
        f"{show(-mean)} fewer {CELLS[measure]} than with {worst.other}."
    )


def _workloads_won(results: Results) -> str:
    if not results.others:
        return ""
    subject, count = results.subject, counted(len(results.workloads), "workload")
    effects = {o: [_effect(results, w, o) for w in results.workloads] for o in results.others}
    kept = {other: [e for e in found if e is not None] for other, found in effects.items()}
    if all(effect.low is None for found in kept.values() for effect in found):
        parts = [f"than {o} in {sum(e.mean > 0 for e in found)}" for o, found in kept.items()]
        return (
            f"The runs are too few for intervals; by their means alone, {subject} serves more "
            f"users in time {listed(parts)} of {count}."
        )
    ways = {o: Counter(better(effect, IN_TIME) for effect in found) for o, found in kept.items()}
    won = [(other, counts[1], counts[-1]) for other, counts in ways.items()]
    return f"{_won(subject, won, f'{count} on real servers')}."


def _effect(results: Results, workload: str, other: str) -> Effect | None:
    return results.effect(workload, IN_TIME, other)


def _worst(results: Results) -> str:
    compared = sorted(all_compared(results), key=lambda one: one.bound)
    if not compared:
        return ""
    worst = compared[0]
    lost = sum(better(one.effect, one.measure) < 0 for one in compared)
    return (
        f"It does worst under {worst.workload}, by {MEASURES[worst.measure].title} against "
        f"{worst.other}: {versus(worst.effect, worst.measure, results.subject)}; of "
        f"{counted(len(compared), 'comparison')} it clearly loses {lost}."
    )


def all_compared(results: Results) -> Iterator[Compared]:
    """Every workload, measure that is judged and other strategy."""
    for workload in results.workloads:
        for measure in JUDGED:
            for other in results.others:
                effect = results.effect(workload, measure, other)
                if effect is not None:
                    yield Compared(workload, measure, other, effect)


def _trust(results: Results) -> str:
    """Integrity, how near the simulation is, and what the machine was too slow for."""
    off = deviation(results)
    near = "" if off is None else f"; real runs are within {show(off[0])} of the simulation"
    return f"{_faults(results)}{near}; {machine(results)}."


def _faults(results: Results) -> str:
    kept = [name for name in results.strategies if not is_control(name)]
    broken = [f"{name} ({results.findings[name]})" for name in kept if results.findings[name]]
    if not kept:
        return "Only controls were measured, whose faults are expected"
    if broken:
        return f"INTEGRITY FAILED under {listed(broken)}"
    turns = counted(sum(results.turns(name) for name in kept), "turn")
    return f"None of {turns} in real runs was lost, doubled, reordered or orphaned"


def machine(results: Results) -> str:
    """Whether the generator kept up, as the end of a sentence."""
    if not results.late:
        return f"this machine kept up in all runs ({len(results.runs)})"
    where = Counter(row.workload for row in results.late).most_common()
    return "this machine was too slow for " + listed(
        [
            f"{name} ({late} of {sum(row.workload == name for row in results.runs)} runs)"
            for name, late in where
        ]
    )


def integrity(results: Results) -> str:
    """What the histories prove, with the control beside it."""
    kept = [name for name in results.strategies if not is_control(name)] or results.strategies
    runs = counted(sum(row.strategy in kept for row in results.runs), "run")
    turns = sum(results.turns(name) for name in kept)
    text = f"In {runs} with {turns:,} users' turns under {listed(kept)}, "
    if broken := [f"{n} ({results.findings[n]})" for n in kept if results.findings[n]]:
        text += f"INTEGRITY FAILED: {listed(broken)}"
    else:
        text += "none was lost, doubled, reordered or orphaned"
    if results.plan.processes > 1:
        text += f", and {sum(map(results.crossings, kept)):,} were handed over to another process"
    control = results.findings.get("unprotected")
    if control is None:
        return f"{text}."
    stale = control.stale / max(1, results.kept("unprotected"))
    return f"{text}; without a strategy {stale:.0%} of the turns kept stand on a stale history."


def deviation(results: Results, measure: str = IN_TIME) -> tuple[float, float, str, str] | None:
    """The largest distance of measured and simulated means, the mean one, workload and strategy.

    Not of the controls; None where nothing was simulated.
    """
    found: list[tuple[float, str, str]] = []
    for workload in results.workloads:
        for strategy in (results.subject, *results.others):
            if both := results.both(strategy, workload, measure):
                found.append((abs(both[0] - both[1]), workload, strategy))
    if not found:
        return None
    size, workload, strategy = max(found)
    return size, sum(each for each, _, _ in found) / len(found), workload, strategy

"""How the report says a figure and a difference, and what its words mean."""

from __future__ import annotations

from math import inf, isnan

from loadtests.measures.figures import MEASURES
from loadtests.measures.intervals import Effect

CLEAR = 0.01
"""A difference in a share that is smaller helps nobody choose, however sure it is."""

GLOSSARY = {
    "clear": "a difference whose 95 % interval leaves 0 out, and which is more than "
    f"{CLEAR:g} where shares are compared; any other is a tie",
    "interval": "a range in brackets: where the mean of all such runs is with 95 % confidence; "
    "from whole runs, paired by seed",
    "service time": "the mean time that the agent takes for a turn; the unit of every time here",
    "load": "arrivals for each service time of each turn that the agent can work at; above 1 "
    "somebody is not served",
    "never": "most users never had an answer, so their time to it has no end",
    "told, leaves, silent": "clients say their deadline and leave at it; only leave; do neither",
    "regret": "the best strategy's figure less this one's, in the same cell",
    "cell": "one kind of clients at one load and shape of traffic, simulated with many seeds",
    "measured, simulated": "real servers over sockets; the same strategy classes, users and "
    "schedules in virtual time",
}


def glossary() -> dict[str, str]:
    """Word -> meaning: the measures as they are defined, then the words around them."""
    measures = {m.title: f"{m.about} ({m.unit}{_better(m.better)})" for m in MEASURES.values()}
    return measures | GLOSSARY


def _better(which: str) -> str:
    return f"; {which} is better" if which else ""


def show(value: float, measure: str = "") -> str:
    """A figure as reports have it: `0.84`, `12.4`, `never`, `-`."""
    if isnan(value):
        return "-"
    if value == inf:
        return "never"
    digits = 2 if not measure or is_share(measure) or value < 10 else 1
    return f"{value:.{digits}f}"


def percent(share: float) -> str:
    return "-" if isnan(share) else f"{share * 100:.0f}\N{NO-BREAK SPACE}%"


def is_share(measure: str) -> bool:
    return MEASURES[measure].unit in ("share", "share of capacity", "Jain's index")


def is_clear(effect: Effect, measure: str) -> bool:
    """Whether its interval leaves 0 out, and it is large enough to matter."""
    return effect.is_clear and (abs(effect.mean) > CLEAR or not is_share(measure))


def better(effect: Effect, measure: str) -> int:
    """1 where the subject is clearly better, -1 where clearly worse, 0 for a tie."""
    if not is_clear(effect, measure):
        return 0
    more = MEASURES[measure].better != "less"
    return 1 if (effect.mean > 0) == more else -1


def versus(effect: Effect | None, measure: str, subject: str = "") -> str:
    """`queue better by 0.31 [0.27, 0.36]`, whichever way the measure counts; `tie [-0.02, 0.01]`.

    For a measure of which neither way is better: `higher by` or `lower by`. Where the runs are
    too few for an interval it says so.
    """
    if effect is None:
        return "-"
    if effect.low is None or effect.high is None:
        if abs(effect.mean) < 0.005:
            return "no difference (too few runs)"
        return f"{_who(subject)}{_way(effect, measure)} by {abs(effect.mean):.2f} (too few runs)"
    if not is_clear(effect, measure):
        return f"tie [{_signed(effect.low)}, {_signed(effect.high)}]"
    ends = sorted((abs(effect.low), abs(effect.high)))
    by = f"{abs(effect.mean):.2f} [{ends[0]:.2f}, {ends[1]:.2f}]"
    return f"{_who(subject)}{_way(effect, measure)} by {by}"


def _who(subject: str) -> str:
    return f"{subject} " if subject else ""


def _way(effect: Effect, measure: str) -> str:
    which = MEASURES[measure].better
    if not which:
        return "higher" if effect.mean > 0 else "lower"
    return "better" if (effect.mean > 0) == (which == "more") else "worse"


def show_effect(effect: Effect | None, *, runs: bool = True) -> str:
    """`+0.31 [+0.27, +0.36], 10 runs`; without an interval where the runs are too few."""
    if effect is None:
        return "-"
    text = _signed(effect.mean)
    if effect.low is not None and effect.high is not None:
        text += f" [{_signed(effect.low)}, {_signed(effect.high)}]"
    if not runs:
        return text
    return f"{text}, {effect.runs} {'run' if effect.runs == 1 else 'runs'}"


def _signed(value: float) -> str:
    text = f"{value:+.2f}" if abs(value) < 10 else f"{value:+.1f}"
    return "0.00" if text in ("+0.00", "-0.00") else text


def listed(names: list[str], word: str = "and") -> str:
    """`a, b and c`."""
    *most, last = names
    return f"{', '.join(most)} {word} {last}" if most else last


def counted(number: int, noun: str) -> str:
    """`1 run`, `2 runs`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"

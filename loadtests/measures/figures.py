"""From a run's records to its figures. Each figure is of one run; `intervals` compares runs.

Percentiles are of raw samples and of *all* users: one who never had an answer
counts as infinitely late, for leaving the unserved out makes any overload look good.
"""

from __future__ import annotations

from bisect import bisect, insort
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil, inf, nan
from statistics import fmean

from loadtests.measures.records import Run, UserTurn, parts
from loadtests.measures.waiting import depth, mean_over_time, most, under_way
from loadtests.workloads.workload import Workload

LAG_LIMIT_S = 0.010
"""A generator that is later than this, at its 99th percentile, measured itself."""


@dataclass(frozen=True, slots=True)
class Measure:
    """A figure that reports name. `better` is "more", "less" or "" where it depends."""

    title: str
    unit: str
    better: str
    about: str


ROUNDING_S = 2e-4
"""What a span between two recorded times may be off: each is kept to a tenth of a millisecond."""

_WAITING = "open at the server and not running; those refused by 409 or 429 never waited there"
_UNDER_WAY = "have sent or pause before they try again, and neither have an answer nor gave up"

MEASURES: dict[str, Measure] = {
    "served": Measure(
        "users served",
        "share",
        "more",
        "had an answer at last, retries included, within that attempt's own timeout",
    ),
    "answered": Measure(
        "users answered", "share", "more", "had an answer at last, however late it came"
    ),
    "in_time": Measure(
        "served in time", "share", "more", "had an answer within one timeout of being due"
    ),
    "goodput": Measure(
        "goodput",
        "share of capacity",
        "more",
        "agent work for users served while users still came, of all that the agent could do then",
    ),
    "p50": Measure("time to answer, p50", "service times", "less", "all users, from due"),
    "p95": Measure("time to answer, p95", "service times", "less", "all users, from due"),
    "p99": Measure("time to answer, p99", "service times", "less", "all users, from due"),
    "waited": Measure("waited in the server", "service times", "less", "mean, of answered turns"),
    "ran": Measure("ran", "service times", "", "mean, of answered turns, as the server saw it"),
    "attempts": Measure(
        "attempts for an answer", "requests", "less", "all requests to all answered turns"
    ),
    "wasted": Measure(
        "agent work for nobody", "share", "less", "of its seconds, those without an answer sent"
    ),
    "inversions": Measure(
        "order inversions", "share", "less", "pairs of a conversation that swapped their order"
    ),
    "fairness": Measure(
        "fairness",
        "Jain's index",
        "more",
        "over conversations, of their shares of users served; 1 is equal",
    ),
    "quiet_p95": Measure(
        "time to answer of quiet conversations, p95", "service times", "less", "workload hot only"
    ),
    "depth_mean": Measure("waiting in the server, mean", "turns", "", _WAITING),
    "depth_max": Measure("waiting in the server, most", "turns", "less", _WAITING),
    "users_mean": Measure("users under way, mean", "users", "", _UNDER_WAY),
    "users_max": Measure("users under way, most", "users", "less", _UNDER_WAY),
    "run_twice": Measure(
        "run more than once", "share", "less", "users whose message the agent was asked twice"
    ),
}

Figures = dict[str, float]
"""Each measure of one run; nan where the run cannot tell, inf for "never"."""


def figures(run: Run, workload: Workload) -> Figures:
    """All measures of the run, which followed the workload."""
    unit_s = run.service_s
    late = sorted(answered_after(turn) / unit_s for turn in run.turns)
    answered = [turn.answer for turn in run.turns if turn.answer]
    quiet = sorted(
        answered_after(turn) / unit_s
        for turn in run.turns
        if turn.conversation.startswith("quiet-")
    )
    depths, users = depth(run), under_way(run)
    return {
        "served": _share(sum(map(is_served, run.turns)), len(run.turns)),
        "answered": _share(len(answered), len(run.turns)),
        "in_time": _share(sum(map(_in_time, run.turns)), len(run.turns)),
        "goodput": goodput(run, workload),
        "p50": percentile(late, 0.50),
        "p95": percentile(late, 0.95),
        "p99": percentile(late, 0.99),
        "waited": _mean(tried.waited_s / unit_s for tried in answered),
        "ran": _mean(tried.ran_s / unit_s for tried in answered),
        "attempts": _share(sum(len(turn.attempts) for turn in run.turns), len(answered)),
        "wasted": wasted(run),
        "inversions": inversions(run),
        "fairness": _fairness_of(run.turns),
        "quiet_p95": percentile(quiet, 0.95),
        "depth_mean": mean_over_time(depths),
        "depth_max": most(depths),
        "users_mean": mean_over_time(users),
        "users_max": most(users),
        "run_twice": _run_twice(run),
    }


def main_figures(run: Run, workload: Workload) -> Figures:
    """Four of them, the same as `figures` has, in a fraction of its time."""
    attempts = sum(len(turn.attempts) for turn in run.turns)
    return {
        "served": _share(sum(map(is_served, run.turns)), len(run.turns)),
        "in_time": _share(sum(map(_in_time, run.turns)), len(run.turns)),
        "goodput": goodput(run, workload),
        "attempts": _share(attempts, sum(turn.answer is not None for turn in run.turns)),
    }


def percentile(samples: Iterable[float], share: float) -> float:
    """The smallest sample that at least this share do not exceed (nearest rank); nan of none."""
    ordered = sorted(samples)
    if not ordered:
        return nan
    return ordered[max(0, ceil(share * len(ordered) - 1e-9) - 1)]


def answered_after(turn: UserTurn) -> float:
    """Seconds from when it was due to its answer, retries included; inf for never."""
    return turn.answer.ended_s - turn.due_s if turn.answer else inf


def _in_time(turn: UserTurn) -> bool:
    return answered_after(turn) <= turn.timeout_s


def is_served(turn: UserTurn) -> bool:
    """Answered within the attempt's own timeout: a later answer finds nobody, told or not."""
    tried = turn.answer
    return tried is not None and tried.ended_s - tried.sent_s <= turn.timeout_s + ROUNDING_S


def goodput(run: Run, workload: Workload) -> float:
    """Agent seconds of users served by the horizon, as a share of all it could work until then.

    What a burst leaves to do after the horizon counts on neither side.
    """
    # By message, so that the answer to a double is of use only where the first has none.
    useful_s = {
        turn.number if arrival.repeats is None else arrival.repeats: arrival.service_s
        for turn in run.turns
        for arrival in (workload.arrivals[turn.number],)
        if is_served(turn) and turn.attempts[-1].ended_s <= workload.horizon_s
    }
    return sum(useful_s.values()) / (workload.horizon_s * workload.capacity)


def wasted(run: Run) -> float:
    """The share of the agent's seconds whose answer reached nobody."""
    told = {f"{turn.number}.{len(turn.attempts)}" for turn in run.turns if turn.answer}
    all_s = sum(call.ended_s - call.began_s for call in run.calls)
    lost_s = sum(
        call.ended_s - call.began_s for call in run.calls if told.isdisjoint(parts(call.message))
    )
    return _share(lost_s, all_s)


def inversions(run: Run) -> float:
    """Kendall's distance between the order in which turns were due and that in the histories.

    Pairs of one conversation in the wrong order, as a share of all its pairs; 0 is
    order of arrival, 0.5 is chance.
    """
    swapped = pairs = 0
    for history in run.histories:
        messages = (message for turn in history.messages for message in parts(turn))
        first = dict.fromkeys(map(_number, messages))
        seen: list[int] = []
        for number in first:
            swapped += len(seen) - bisect(seen, number)
            insort(seen, number)
        pairs += len(seen) * (len(seen) - 1) // 2
    return _share(swapped, pairs)


def jain(shares: Sequence[float]) -> float:
    """Jain's index (Jain, Chiu and Hawe 1984): 1 if all have the same, 1/n if one has all."""
    squares = sum(share * share for share in shares)
    return sum(shares) ** 2 / (len(shares) * squares) if squares else nan


def _fairness_of(turns: Sequence[UserTurn]) -> float:
    served: dict[str, list[bool]] = defaultdict(list)
    for turn in turns:
        served[turn.conversation].append(is_served(turn))
    return jain([fmean(answers) for answers in served.values()]) if served else nan


def _run_twice(run: Run) -> float:
    answered = (call.message for call in run.calls if call.ended == "answered")
    calls = Counter(_number(message) for turn in answered for message in parts(turn))
    return _share(sum(count > 1 for count in calls.values()), len(run.turns))


def lag_s(run: Run) -> float:
    """The generator's own lateness, 99th percentile, seconds."""
    return percentile((turn.lag_s for turn in run.turns), 0.99)


def _number(message: str) -> int:
    return int(message.partition(".")[0])


def _share(part: float, whole: float) -> float:
    return part / whole if whole else nan


def _mean(values: Iterable[float]) -> float:
    kept = list(values)
    return fmean(kept) if kept else nan

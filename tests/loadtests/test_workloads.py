"""Schedules are the same for everyone, and are what they say."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from math import inf
from pathlib import Path
from random import Random
from statistics import fmean, pstdev
from typing import ClassVar

import pytest

from loadtests.measures.figures import figures
from loadtests.measures.records import LEFT
from loadtests.runs.plan import ALL, Plan
from loadtests.runs.processes import RunFailed
from loadtests.runs.trial import run_batch
from loadtests.simulation.simulate import simulate
from loadtests.workloads import azure, draws, in_words
from loadtests.workloads.clients import POLICIES, Refusal
from loadtests.workloads.draws import Draw, from_quantiles
from loadtests.workloads.schedules import QUIET_LOAD, THINK
from loadtests.workloads.shapes import NAMES, SHAPES, UnknownWorkload, make
from loadtests.workloads.users import Answer, Pause, Send, take_turn
from strategies import Ticket, Turn
from strategies.queue import Queue


@pytest.mark.parametrize("name", SHAPES)
def test_the_same_seed_gives_the_same_schedule_and_another_one_another(name: str) -> None:
    assert make(name, 1) == make(name, 1)
    assert make(name, 1) != make(name, 2)


@pytest.mark.parametrize("name", [n for n, s in SHAPES.items() if isinstance(s.load, float)])
def test_the_load_that_comes_is_the_load_that_was_named(name: str) -> None:
    shape = SHAPES[name]
    assert isinstance(shape.load, float)
    if shape.load == inf:
        return
    found = fmean(make(name, seed, services=2_000).offered for seed in range(1, 4))
    others = shape.quiet or shape.quiet_callers
    expected = shape.load + QUIET_LOAD if others else shape.load
    assert found * (shape.backends or 1) == pytest.approx(expected, rel=0.1)


def test_the_unit_scales_everything_and_changes_nothing() -> None:
    one, ten = make("overload-2", 1, service_s=0.1), make("overload-2", 1, service_s=1.0)

    assert [a.due_s * 10 for a in one.arrivals] == pytest.approx(
        [a.due_s for a in ten.arrivals], abs=1e-4
    )
    assert one.offered == pytest.approx(ten.offered)


def test_an_unknown_workload_is_told_with_the_known_ones() -> None:
    with pytest.raises(UnknownWorkload, match="burst"):
        make("brust", 1)


def test_the_servers_own_log_is_a_trace(tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    ended = {"event": "turn ended", "conversation_id": "a", "outcome": "answered"}
    lines = [
        {**ended, "timestamp": "2026-01-01T00:00:03Z", "waited_ms": 1000, "ran_ms": 2000},
        {"event": "draining", "timestamp": "2026-01-01T00:00:04Z"},
        {**ended, "timestamp": "2026-01-01T00:00:09Z", "waited_ms": 0, "ran_ms": 4000},
        {**ended, "timestamp": "2026-01-01T00:00:10Z", "waited_ms": 0, "ran_ms": 0},
    ]
    log.write_text("".join(json.dumps(line) + "\n" for line in lines) + "not json\n")

    found = make(f"trace:{log}", 1)

    assert [(a.due_s, a.service_s) for a in found.arrivals] == [(0, 2), (5, 4), (10, 3)]
    assert found.service_s == 3


def test_a_file_without_turns_is_no_trace(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("{}\n")

    with pytest.raises(ValueError, match="no turn that ran"):
        make(f"trace:{tmp_path / 'empty'}", 1)


@pytest.mark.parametrize(
    ("text", "rate"), [("0.2/s", 0.2), ("30/m", 0.5), ("3600/h", 1.0), ("86400/d", 1.0)]
)
def test_a_rate_is_read_in_any_unit(text: str, rate: float) -> None:
    assert in_words.parse_rate(text) == pytest.approx(rate)


@pytest.mark.parametrize("text", ["", "5", "5/y", "-1/s", "fast/s", "nan/s", "inf/s"])
def test_what_is_no_rate_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"rate|more than 0|float"):
        in_words.parse_rate(text)


@pytest.mark.parametrize("text", ["lognormal", "constant:2s:1", "gamma:2s", "lognormal:0s"])
def test_what_is_no_service_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not|more than 0|float"):
        in_words.parse_service(text)


@pytest.mark.parametrize(
    "text", ["constant:2s", "exponential:2s", "lognormal:2s", "lognormal:2s:1", "azure-conv:2s"]
)
def test_a_service_time_has_the_mean_that_it_says(text: str) -> None:
    mean_s, draw = in_words.parse_service(text)
    rng = Random(1)

    assert mean_s == 2
    assert fmean(draw(rng) for _ in range(50_000)) == pytest.approx(1, rel=0.03)


def test_clients_are_read_from_words() -> None:
    clients = in_words.parse_clients("openai, timeout=20s, patience=1m, silent, stay", 2.0)

    assert (clients.retry, clients.timeout, clients.patience) == ("openai", 10, 30)
    assert not clients.tells_deadline
    assert not clients.leaves
    with pytest.raises(ValueError, match="nothing that clients do"):
        in_words.parse_clients("polite", 2.0)


@pytest.mark.parametrize("policy", POLICIES)
def test_no_policy_waits_less_than_nothing_or_for_ever(policy: str) -> None:
    rng = Random(1)
    for tried in range(1, 40):
        delay_s = POLICIES[policy](tried, Refusal(503, 0.5), 1.0, rng)
        assert delay_s is None or 0 <= delay_s <= 8


def test_openais_client_tries_three_times_honours_the_hint_and_leaves_what_is_no_use() -> None:
    openai, rng = POLICIES["openai"], Random(1)

    assert openai(1, Refusal(429, 3.0), 1.0, rng) == 3.0
    assert 0.375 <= (openai(1, Refusal(LEFT), 1.0, rng) or 0) <= 0.5
    assert 0.75 <= (openai(2, Refusal(503), 1.0, rng) or 0) <= 1.0
    assert openai(3, Refusal(503), 1.0, rng) is None
    assert openai(1, Refusal(422), 1.0, rng) is None


class Seen(Queue):
    """The queue, which notes who asked."""

    callers: ClassVar[set[str]] = set()

    def submit(self, turn: Turn) -> Ticket:
        self.callers.add(turn.caller)
        return super().submit(turn)


SERVICE_DRAWS = {
    "constant": draws.constant,
    "exponential": draws.exponential,
    "lognormal": draws.lognormal(0.8),
    "azure_conv": draws.azure_conv,
    "azure_code": draws.azure_code,
}


@pytest.mark.parametrize("draw", SERVICE_DRAWS.values(), ids=SERVICE_DRAWS)
def test_service_times_have_mean_one(draw: Draw) -> None:
    rng = Random(1)

    assert fmean(draw(rng) for _ in range(100_000)) == pytest.approx(1, rel=0.02)


class _Evenly(Random):
    """In place of chance: each of so many shares once, so that a mean is no estimate."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self._shares = iter([(index + 0.5) / count for index in range(count)])

    def random(self) -> float:
        return next(self._shares)


@pytest.mark.parametrize("draw", [draws.azure_conv, draws.azure_code])
def test_the_mean_of_real_service_times_is_one_exactly(draw: Draw) -> None:
    rng = _Evenly(20_000)  # No cell of the quantiles is cut: each is a multiple of 1 / 10,000.

    assert fmean(draw(rng) for _ in range(20_000)) == pytest.approx(1, rel=1e-9)


def test_a_draw_from_quantiles_gives_the_quantiles_back() -> None:
    draw = from_quantiles([(0.0, 0.0), (0.5, 0.5), (0.9, 1.0), (1.0, 9.0)])
    rng = _Evenly(10_000)
    drawn = [draw(rng) for _ in range(10_000)]
    mean = 0.5 * 0.25 + 0.4 * 0.75 + 0.1 * 5

    assert drawn[4999] == pytest.approx(0.5 / mean, rel=1e-3)
    assert drawn[8999] == pytest.approx(1 / mean, rel=1e-3)
    assert fmean(drawn) == pytest.approx(1)


@pytest.mark.parametrize(
    "points",
    [
        [],
        [(0.0, 1.0)],
        [(0.0, 1.0), (0.9, 2.0)],
        [(0.0, 2.0), (1.0, 1.0)],
        [(0.0, -1.0), (1.0, 1.0)],
        [(0.0, 0.0), (1.0, 0.0)],
        [(0.0, 1.0), (0.5, 1.0), (0.5, 2.0), (1.0, 3.0)],
    ],
)
def test_what_are_no_quantiles_is_refused(points: list[tuple[float, float]]) -> None:
    with pytest.raises(ValueError, match="quantiles must"):
        from_quantiles(points)


def _csv(rows: list[tuple[float, int, int]], header: str = azure.HEADER) -> str:
    """Rows of (seconds after 12:00, context tokens, generated tokens), as published."""
    lines = (
        f"2023-11-16 12:00:{seconds:010.7f},{context},{generated}"
        for seconds, context, generated in rows
    )
    return "\r\n".join([header, *lines]) + "\r\n"


def test_the_command_describes_a_trace(tmp_path: Path) -> None:
    """Services of 0.5, 1.0, ... 5.0 s, a second apart."""
    rows = [(float(index), 500, 16 + 20 * index) for index in range(10)]
    path = tmp_path / "AzureLLMInferenceTrace_small.csv"
    path.write_text(_csv(rows))

    command = [sys.executable, "-m", "loadtests.workloads.azure", str(path)]
    said = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)["small"]

    assert (said["requests"], said["rate_per_s"], said["gaps_cv"]) == (10, 1.0, 0.0)
    assert said["mean_s"] == 2.75
    quantile = dict(map(tuple, said["quantiles"]))
    assert (quantile[0.0], quantile[0.5], quantile[1.0]) == pytest.approx(
        (0.5 / 2.75, 1.0, 5.0 / 2.75), rel=1e-4
    )
    drawn = from_quantiles([(share, value) for share, value in said["quantiles"]])
    assert drawn(_Evenly(1)) == pytest.approx(1.0, rel=1e-4)


@pytest.mark.parametrize(
    ("text", "said"),
    [("at,what\n", "does not begin"), (azure.HEADER + "\nnow,1,2\n", "line 2 is no request")],
)
def test_the_command_says_what_is_wrong_with_a_file(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "odd.csv").write_text(text)

    with pytest.raises(ValueError, match=said):
        azure.main([str(tmp_path / "odd.csv")])


@pytest.mark.parametrize("name", ["conv", "code"])
def test_the_kept_quantiles_are_those_of_the_published_trace(name: str) -> None:
    folder = os.environ.get("AZURE_TRACES")
    if not folder:
        pytest.skip("AZURE_TRACES does not name the folder of AzureLLMInferenceTrace_*.csv")
    path = Path(folder) / f"AzureLLMInferenceTrace_{name}.csv"
    kept = json.loads((Path(azure.__file__).parent / "azure_2023.json").read_text())

    assert json.loads(azure.main([str(path)]))[name] == kept[name]


@pytest.mark.parametrize("name", ["conv", "code"])
def test_draws_vary_as_the_trace_did(name: str) -> None:
    kept = json.loads((Path(azure.__file__).parent / "azure_2023.json").read_text())[name]
    draw = SERVICE_DRAWS[f"azure_{name}"]
    rng = _Evenly(20_000)

    assert pstdev(draw(rng) for _ in range(20_000)) == pytest.approx(kept["service_cv"], rel=0.03)


def test_a_published_trace_is_a_workload_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "any.csv"
    path.write_text(_csv([(1.5, 5000, 40), (3.25, 0, 80)]))

    found = make(f"trace:{path}", 1)

    assert [(a.due_s, a.service_s) for a in found.arrivals] == [(0, 2), (1.75, 2)]
    assert len({a.conversation for a in found.arrivals}) == 2


def test_a_published_trace_may_be_told_its_conversations(tmp_path: Path) -> None:
    path = tmp_path / "any.csv"
    text = _csv([(1.0, 0, 40), (2.0, 0, 40)], azure.HEADER + ",Conversation")
    path.write_text(text.replace(",0,40\r\n", ",0,40,a\r\n"))

    assert {a.conversation for a in make(f"trace:{path}", 1).arrivals} == {"a"}


def test_fifty_conversations_come_by_chance_over_four_slots() -> None:
    found = make("fifty-2", 1, services=500)
    counts = Counter(a.conversation for a in found.arrivals)

    assert len(counts) == 50
    assert max(counts.values()) < 3 * min(counts.values())
    assert (found.capacity, found.max_running) == (4, 4)


def test_a_session_goes_on_a_think_time_after_the_turn_before_ended() -> None:
    made = make("sessions", 1)
    turns = simulate("queue", made).turns

    assert [turn.number for turn in turns] == list(range(len(made.arrivals)))
    followers = [
        (turn, a) for turn, a in zip(turns, made.arrivals, strict=True) if a.after is not None
    ]
    assert len(followers) > len(turns) / 2
    for turn, arrival in followers:
        before = turns[arrival.after or 0]
        assert before.conversation == turn.conversation
        assert turn.due_s == pytest.approx(before.attempts[-1].ended_s + arrival.think_s)
        assert turn.attempts[0].sent_s == pytest.approx(turn.due_s)


def test_patience_in_a_session_counts_from_when_the_turn_was_really_due() -> None:
    made = make("sessions", 1)
    late_s = made.horizon_s + 100 * made.clients.patience
    conduct = take_turn(made, 1, lambda: late_s, late_s, late_s)
    next(conduct)

    assert isinstance(conduct.send(Answer(503)), Pause)


def test_users_of_sessions_think_as_long_as_is_said() -> None:
    arrivals = make("sessions", 1, service_s=2.0, services=1_000).arrivals
    thought = [a.think_s / 2 for a in arrivals if a.after is not None]

    assert fmean(thought) == pytest.approx(THINK, rel=0.1)
    assert all(a.think_s == 0 for a in arrivals if a.after is None)
    assert make("sessions", 1, services=1_000).longest == 5


def test_a_double_follows_its_first_within_half_a_service_time_with_the_same_work() -> None:
    arrivals = make("double-submit", 1, service_s=1.0, services=1_000).arrivals
    doubles = [a for a in arrivals if a.repeats is not None]

    for double in doubles:
        first = arrivals[double.repeats or 0]
        assert (double.service_s, double.conversation) == (first.service_s, first.conversation)
        assert 0 <= double.due_s - first.due_s <= 0.5
        assert first.repeats is None
    assert len({a.repeats for a in doubles}) == len(doubles)
    share = SHAPES["double-submit"].repeats
    assert len(doubles) / (len(arrivals) - len(doubles)) == pytest.approx(share, rel=0.2)


def test_work_at_a_double_is_of_no_use() -> None:
    made = make("double-submit", 1, services=50)
    once = replace(made, arrivals=tuple(replace(a, repeats=None) for a in made.arrivals))

    both = simulate("lock", made)
    assert figures(both, made)["goodput"] < figures(both, once)["goodput"] * 0.95


def test_one_caller_floods_the_others() -> None:
    arrivals = make("callers", 1, services=500).arrivals
    counts = Counter(a.caller for a in arrivals)

    assert len(counts) == 11
    assert min(counts.values()) > 0
    assert counts["flooding"] > 2 * sum(n for name, n in counts.items() if name != "flooding")
    callers_of: dict[str, set[str]] = {}
    for arrival in arrivals:
        callers_of.setdefault(arrival.conversation, set()).add(arrival.caller)
    assert all(len(callers) == 1 for callers in callers_of.values())


def test_the_strategy_is_told_who_asks() -> None:
    made = make("callers", 1, services=20)
    Seen.callers.clear()

    simulate(f"{__name__}:Seen", made)

    assert Seen.callers == {a.caller for a in made.arrivals}
    assert len(Seen.callers) > 2


def test_real_runs_leave_out_what_needs_several_callers() -> None:
    assert "callers" not in ALL
    assert set(ALL) == set(SHAPES) - {"callers"}
    with pytest.raises(RunFailed, match="several callers"):
        run_batch(Plan(("queue",), ("callers",), 1, 0.1, 10.0), ("queue",), "callers", 1)


def test_overhead_holds_the_conversation_and_is_no_work_of_the_agent() -> None:
    made = replace(make("patient", 1, services=30), overhead_s=0.05)
    free, costly = simulate("queue", replace(made, overhead_s=0.0)), simulate("queue", made)

    for turn in costly.turns:
        assert turn.answer
        assert turn.answer.ran_s == pytest.approx(made.arrivals[turn.number].service_s + 0.05)
    assert sum(c.ended_s - c.began_s for c in costly.calls) == pytest.approx(
        sum(c.ended_s - c.began_s for c in free.calls)
    )
    assert figures(costly, made)["waited"] > figures(free, made)["waited"]


@pytest.mark.parametrize("name", NAMES)
def test_every_workload_says_what_it_is(name: str) -> None:
    assert len(NAMES[name]) > 10


@pytest.mark.parametrize("name", ["overload-2", "faulty"])
def test_all_attempts_of_a_user_say_the_same_words_and_no_other_user_says_them(name: str) -> None:
    made, said = make(name, 1), set[str]()

    for number in range(len(made.arrivals)):
        steps = take_turn(made, number, lambda: 0.0, 0.0)
        sent = [next(steps)]
        while len(sent) < 7:  # Each other step is a pause.
            sent.append(steps.send(Answer(503) if isinstance(sent[-1], Send) else None))
        tries = [step for step in sent if isinstance(step, Send)]
        assert [step.name for step in tries] == [f"{number}.{index}" for index in range(1, 5)]
        assert len({step.message for step in tries}) == 1
        said.add(tries[0].message)

    assert len(said) == len(made.arrivals)

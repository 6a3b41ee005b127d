"""Schedules are the same for everyone, and are what they say."""

from __future__ import annotations

import json
from math import inf
from pathlib import Path
from random import Random
from statistics import fmean

import pytest

from loadtests.measures.records import LEFT
from loadtests.workloads import in_words, shapes
from loadtests.workloads.clients import POLICIES, Refusal
from loadtests.workloads.shapes import SHAPES, UnknownWorkload, make


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
    expected = shape.load + shapes.QUIET_LOAD if shape.quiet else shape.load
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
    "text", ["constant:2s", "exponential:2s", "lognormal:2s", "lognormal:2s:1"]
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

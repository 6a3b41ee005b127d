"""The figures of runs whose figures can be counted by hand."""

from __future__ import annotations

from math import inf, isnan

import pytest

from loadtests.measures.figures import (
    answered_after,
    figures,
    inversions,
    jain,
    percentile,
    wasted,
)
from loadtests.measures.records import Call, Tried, UserTurn, from_line, to_line
from loadtests.measures.waiting import depth, under_way
from loadtests.simulation import theory
from loadtests.simulation.simulate import simulate
from loadtests.workloads.shapes import make
from tests.loadtests.records import WORKLOAD, a_run, answered, history, refused


def test_a_percentile_is_the_nearest_rank_of_the_raw_samples() -> None:
    samples = [float(number) for number in range(1, 101)]

    assert [percentile(samples, share) for share in (0.5, 0.95, 0.99, 1.0)] == [50, 95, 99, 100]
    assert percentile([3.0], 0.5) == 3.0
    assert isnan(percentile([], 0.5))


def test_users_without_an_answer_count_as_infinitely_late() -> None:
    turns = [answered(0, 1, 0, 1), refused(1, 409, 1), refused(2, 503, 2)]
    late = [answered_after(turn) for turn in turns]

    assert late == [1.0, inf, inf]
    assert percentile(late, 0.5) == inf


@pytest.mark.parametrize(
    ("order", "share"),
    [((0, 1, 2, 3), 0.0), ((3, 2, 1, 0), 1.0), ((1, 0, 2, 3), 1 / 6), ((0, 3, 1, 2), 2 / 6)],
)
def test_inversions_are_the_share_of_pairs_that_swapped(
    order: tuple[int, ...], share: float
) -> None:
    run = a_run(histories=(history(*(f"{number}.1" for number in order)),))

    assert inversions(run) == pytest.approx(share)


@pytest.mark.parametrize(
    ("shares", "index"), [([1, 1, 1, 1], 1.0), ([1, 0, 0, 0], 0.25), ([1, 0.5], 0.9)]
)
def test_jains_index_is_one_for_equals_and_one_nth_for_one_that_has_all(
    shares: list[float], index: float
) -> None:
    assert jain(shares) == pytest.approx(index)


def test_agent_work_is_wasted_where_its_attempt_was_not_answered() -> None:
    calls = (
        Call("0.1", "one", 0.0, 1.0, "answered"),
        Call("1.1", "one", 1.0, 4.0, "stopped"),
    )

    assert wasted(a_run(answered(0, 1, 0, 1), refused(1, 504, 1), calls=calls)) == 0.75


def test_depth_counts_what_was_sent_and_neither_runs_nor_has_ended() -> None:
    calls = (Call("0.1", "one", 0.0, 2.0, "answered"), Call("1.1", "one", 2.0, 3.0, "answered"))
    run = a_run(answered(0, 1, 0.0, 2.0), answered(1, 2, 1.0, 3.0), calls=calls)

    assert depth(run) == [(0.0, 0), (1.0, 1), (2.0, 0), (3.0, 0)]


def test_users_whom_a_server_refuses_wait_in_their_clients_and_not_in_the_server() -> None:
    tries = tuple(Tried(at, at + 0.5, 409, 0, 0.0, 0.0) for at in (0.0, 2.0))
    run = a_run(UserTurn(0, "one", 0.0, 10.0, 0.0, tries), refused(1, 429, 1.0))
    found = figures(run, WORKLOAD)

    assert found["depth_max"] == 0
    assert under_way(run) == [(0.0, 1), (1.0, 2), (1.1, 1), (2.5, 0)]
    assert found["users_max"] == 2


def test_an_answer_after_its_attempts_timeout_is_an_answer_that_served_nobody() -> None:
    found = figures(a_run(answered(0, 1, 0, 10), answered(1, 2, 1, 20)), WORKLOAD)

    assert (found["served"], found["answered"]) == (0.5, 1.0)


def test_what_a_burst_leaves_to_do_after_its_horizon_is_no_goodput() -> None:
    burst = make("burst", 1, service_s=1.0)
    by_then = UserTurn(0, "one", 0.0, 1e3, 0.0, (Tried(0.0, burst.horizon_s, 200, 1, 0, 1),))
    later = UserTurn(1, "one", 0.0, 1e3, 0.0, (Tried(0.0, burst.horizon_s + 1, 200, 2, 0, 1),))

    assert figures(a_run(by_then, later), burst)["goodput"] == pytest.approx(
        burst.arrivals[0].service_s / burst.horizon_s / burst.capacity
    )


def test_a_run_comes_back_from_its_line_as_it_was() -> None:
    made = make("hot", 1, services=20)
    run = simulate("queue", made)
    again = from_line(to_line(run))

    assert to_line(again) == to_line(run)
    assert figures(again, made)["served"] == figures(run, made)["served"]


def test_goodput_leaves_out_what_came_too_late() -> None:
    in_time, late = answered(0, 1, 0, 1), answered(1, 2, 1, 20)
    both = figures(a_run(in_time, late), WORKLOAD)["goodput"]

    assert both == pytest.approx(WORKLOAD.arrivals[0].service_s / WORKLOAD.horizon_s)


def test_the_formulas_agree_with_each_other_and_with_known_values() -> None:
    assert theory.mm1_wait(0.5) == 1.0
    assert theory.md1_wait(0.5) == 0.5
    assert theory.mg1_wait(1.0, 1.0) == inf
    assert theory.loss(1.0) == 0.5
    assert theory.mm1_served_within(0.5, theory.mm1_sojourn_percentile(0.5, 0.95)) == (
        pytest.approx(0.95)
    )

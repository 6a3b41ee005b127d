"""The checker, against histories that were broken on purpose."""

from __future__ import annotations

from dataclasses import replace

import pytest

from loadtests.measures.histories import Findings, check
from loadtests.measures.records import LEFT, Run
from loadtests.simulation.simulate import simulate
from loadtests.workloads.shapes import SHAPES, make
from tests.loadtests.records import WORKLOAD, a_run, answered, history, refused

THREE = (answered(0, 1, 0, 1), answered(1, 2, 1, 2), answered(2, 3, 2, 3))
SOUND = a_run(*THREE, histories=(history("0.1", "1.1", "2.1"),))


def found(run: Run) -> Findings:
    return check(run, WORKLOAD)


def test_a_sound_run_has_no_faults() -> None:
    assert not found(SOUND)
    assert str(found(SOUND)) == "none"


def test_an_answered_turn_that_is_not_in_the_history_is_lost() -> None:
    assert found(a_run(*THREE, histories=(history("0.1", "1.1"),))).lost == 1


def test_an_answered_turn_at_another_place_than_it_was_told_is_lost_there() -> None:
    assert found(a_run(*THREE, histories=(history("0.1", "2.1", "1.1"),))).lost == 2


def test_a_turn_that_is_there_twice_is_duplicated() -> None:
    assert found(a_run(*THREE, histories=(history("0.1", "1.1", "2.1", "1.1"),))).duplicated == 1


def test_a_turn_sent_after_anothers_answer_and_standing_before_it_is_reordered() -> None:
    swapped = (answered(0, 2, 0, 1), answered(1, 1, 2, 3))

    assert found(a_run(*swapped, histories=(history("1.1", "0.1"),))).reordered == 1


def test_turns_under_way_at_once_may_stand_in_any_order() -> None:
    together = (answered(0, 2, 0, 3), answered(1, 1, 1, 2))

    assert not found(a_run(*together, histories=(history("1.1", "0.1"),)))


@pytest.mark.parametrize("status", [409, 429, 502, 503, 504])
def test_a_refused_turn_in_the_history_is_orphaned(status: int) -> None:
    run = a_run(answered(0, 1, 0, 1), refused(1, status, 1), histories=(history("0.1", "1.1"),))

    assert found(run).orphaned == 1


def test_a_turn_whose_client_left_may_be_in_the_history_or_not() -> None:
    for kept in (history("0.1", "1.1"), history("0.1")):
        assert not found(a_run(answered(0, 1, 0, 1), refused(1, LEFT, 1), histories=(kept,)))


def test_a_turn_that_nobody_sent_is_orphaned() -> None:
    assert found(a_run(*THREE, histories=(history("0.1", "1.1", "2.1", "5.1"),))).orphaned == 1


def test_a_digest_that_no_serial_replay_has_is_found() -> None:
    wrong = history("0.1", "1.1", "2.1", digest="ab" * 32)

    assert found(a_run(*THREE, histories=(wrong,))).digests == 1


def test_stale_replies_are_counted() -> None:
    assert found(a_run(*THREE, histories=(history("0.1", "1.1", "2.1", stale=2),))).stale == 2


def test_a_server_that_ends_badly_or_miscounts_is_found() -> None:
    assert found(replace(SOUND, exit_status=1)).server == 1
    assert found(replace(SOUND, counters_agree=False)).server == 1


@pytest.mark.parametrize("workload", SHAPES)
def test_the_control_is_caught_under_every_workload_and_the_built_in_are_clean(
    workload: str,
) -> None:
    made = make(workload, 3, services=60)

    if made.longest == 1:  # Who waits for an answer before going on needs no protection.
        assert check(simulate("unprotected", made), made).stale
    for strategy in ("queue", "merge", "interrupt"):
        assert not check(simulate(strategy, made), made), strategy

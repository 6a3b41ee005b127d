"""The checker, against histories that were broken on purpose."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import pytest

from loadtests.measures.histories import Findings, check
from loadtests.measures.records import LEFT, Call, History, Run, Tried, UserTurn, parts
from loadtests.simulation.simulate import simulate
from loadtests.workloads.shapes import SHAPES, make
from tests.loadtests.records import WORKLOAD, a_run, answered, as_found, history, refused

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


# Histories that name numbers alone, as real runs do: no fault may hide behind another attempt.

RETRIED = [
    ("queue", "overload-2"),
    ("lock", "faulty"),
    ("reject", "retrying-fixed"),
    ("merge", "fifty-2"),
    ("interrupt", "faulty"),
    ("lock-5", "hot"),
]


@pytest.fixture(
    scope="module",
    params=RETRIED,
    ids="-".join,
)
def real(request: pytest.FixtureRequest) -> Run:
    """A sound run in which users tried again. Its replies are no chain: names alone must tell."""
    return unproved(*request.param)


def unproved(strategy: str, workload: str) -> Run:
    run = simulate(strategy, make(workload, 3, services=40))
    return replace(run, histories=tuple(replace(each, stale=None) for each in run.histories))


def found_in(run: Run, messages: list[str]) -> list[Findings]:
    """With these turns in the longest history: by times alone, and by the server's ids."""
    longest = longest_of(run)
    told = tuple(
        replace(each, messages=tuple(messages)) if each == longest else each
        for each in run.histories
    )
    return [check(as_found(run, told, by_time=by_time), WORKLOAD) for by_time in (True, False)]


def longest_of(run: Run) -> History:
    return max(run.histories, key=lambda each: len(each.messages))


def messages_of(run: Run) -> list[str]:
    return list(longest_of(run).messages)


def was_told(run: Run, message: str) -> bool:
    told = {f"{turn.number}.{len(turn.attempts)}" for turn in run.turns if turn.answer}
    return not told.isdisjoint(parts(message))


def test_a_sound_run_is_sound_by_numbers(real: Run) -> None:
    assert any(len(turn.attempts) > 1 for turn in real.turns)
    assert not any(found_in(real, messages_of(real)))


def test_each_turn_that_goes_missing_is_found(real: Run) -> None:
    messages = messages_of(real)

    for place, gone in enumerate(messages):
        rest = messages[:place] + messages[place + 1 :]
        if any(was_told(real, message) for message in messages[place:]):
            assert all(each.lost for each in found_in(real, rest)), f"{gone} is missing"


def test_each_turn_that_stands_there_again_is_found(real: Run) -> None:
    messages = messages_of(real)

    for place, again in enumerate(messages):
        for at in (place, place + 1, len(messages)):
            for each in found_in(real, [*messages[:at], again, *messages[at:]]):
                assert each.orphaned or each.duplicated, f"{again} is there again"


def test_each_refused_attempt_that_was_kept_is_found(real: Run) -> None:
    conversation, messages = longest_of(real).conversation, messages_of(real)
    kept = [
        f"{turn.number}.{index}"
        for turn in real.turns
        for index, tried in enumerate(turn.attempts, 1)
        if turn.conversation == conversation and tried.status not in (LEFT, 200)
    ]

    assert kept
    for name in kept[:: len(kept) // 20 + 1]:
        for place in (0, len(messages) // 2, len(messages)):
            found = found_in(real, [*messages[:place], name, *messages[place:]])
            assert all(each.orphaned for each in found), f"{name} was refused and kept"


def test_neighbours_that_change_places_are_found(real: Run) -> None:
    messages = messages_of(real)

    for place, (one, other) in enumerate(pairwise(messages)):
        swapped = [*messages[:place], other, one, *messages[place + 2 :]]
        if number_of(one) != number_of(other) and (was_told(real, one) or was_told(real, other)):
            found = found_in(real, swapped)
            assert all(each.lost for each in found), f"{one} and {other} changed places"


def test_neighbours_that_a_server_swaps_and_tells_so_are_found_reordered() -> None:
    run = unproved("reject", "retrying-fixed")
    messages = messages_of(run)
    after = [pair for pair in swaps(run, messages) if pair[0].ended_s < pair[1].sent_s]

    assert len(after) > 10
    for one, other in after:
        told = tuple(
            _moved(turn, {one.number: other.number, other.number: one.number}) for turn in run.turns
        )
        order = list(messages)
        order[one.number - 1], order[other.number - 1] = (
            messages[other.number - 1],
            messages[one.number - 1],
        )
        assert all(each.reordered for each in found_in(replace(run, turns=told), order))


def swaps(run: Run, messages: list[str]) -> Iterator[tuple[Tried, Tried]]:
    """The answers of neighbours in the history."""
    at = {turn.answer.number: turn.answer for turn in run.turns if turn.answer}
    for place in range(1, len(messages)):
        if place in at and place + 1 in at:
            yield at[place], at[place + 1]


def _moved(turn: UserTurn, places: dict[int, int]) -> UserTurn:
    *before, last = turn.attempts
    if turn.answer is None or last.number not in places:
        return turn
    return replace(turn, attempts=(*before, replace(last, number=places[last.number])))


def number_of(message: str) -> str:
    return message.partition(".")[0]


def two_tries(first: int, second: int) -> Run:
    """Of one user; both calls were answered."""
    tries = (
        Tried(0.0, 1.5, first, 0, 0.0, 0.0),
        Tried(2.0, 3.5, second, 2 if second == 200 else 0, 0.0, 0.0),
    )
    turn = UserTurn(1, "one", 0.0, 10.0, 0.0, tries)
    calls = (Call("1.1", "one", 0.5, 1.7, "answered"), Call("1.2", "one", 2.0, 3.0, "answered"))
    return a_run(turn, calls=calls)


def test_an_attempt_that_was_kept_though_refused_is_orphaned_beside_the_answered_one() -> None:
    run = two_tries(504, 200)

    assert found(as_found(run, (history("1", "1"),))) == Findings(orphaned=1)
    assert not found(as_found(two_tries(LEFT, 200), (history("1", "1"),)))


@pytest.mark.parametrize("tries", [(LEFT, 504), (504, LEFT), (504, 200), (LEFT, 200)])
def test_of_two_answered_calls_with_one_turn_a_fault_is_told_whichever_it_is(
    tries: tuple[int, int],
) -> None:
    assert found(as_found(two_tries(*tries), (history("1"),)))

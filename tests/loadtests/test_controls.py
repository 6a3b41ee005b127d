"""Controls and opponents: found by their names, and held to the promises that they make."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from loadtests.commands.simulate import simulate_command
from loadtests.controls import ABLATION, CONTROLS, OPPONENTS, check, dotted, find, is_control
from loadtests.controls.fifo import Fifo
from loadtests.controls.shedding_lock import SheddingLock
from loadtests.measures.histories import check as findings
from loadtests.simulation.simulate import simulate
from loadtests.workloads.shapes import make
from strategies import (
    Limits,
    TurnError,
)
from strategies.registry import UnknownStrategy
from strategies.registry import find as find_as_a_server_does
from strategies.testing import PROMISES, Factory, Promise, Rig, replay, run

WITHOUT_SHARES = ("fifo-5", "fifo-20", "global-queue")

NO_SHARES = "one line for everybody gives no caller a share of slots or places: promise 8"

NOT_MADE: dict[tuple[str, str], str] = {
    **{
        (name, promise): NO_SHARES
        for name in WITHOUT_SHARES
        for promise in (
            "a_flood_of_one_caller_costs_another_no_more_than_the_next_slot",
            "urgent_turns_of_one_caller_do_not_overtake_those_of_another",
        )
    },
    ("fifo-5", "one_caller_cannot_fill_the_line_for_all"): NO_SHARES,
    (
        "lock-half",
        "a_turn_whose_deadline_passes_while_it_waits_is_never_started",
    ): "it ends at half its deadline, where the kit expects the whole of it",
}
"""(opponent, promise of the kit) -> why it does not make it."""

each_opponent = pytest.mark.parametrize("name", [*OPPONENTS, *ABLATION])
each_promise = pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.__name__)


# What all of them promise.


@each_opponent
@each_promise
def test_an_opponent_keeps_the_promises_of_a_strategy_but_those_it_does_not_make(
    promise: Promise, name: str
) -> None:
    if (name, promise.__name__) in NOT_MADE:
        with pytest.raises((AssertionError, TurnError)):
            run(promise(find(name)))
    else:
        run(promise(find(name)))


@each_opponent
def test_no_schedule_breaks_an_opponent(name: str) -> None:
    faults = [fault for seed in range(100) for fault in replay(find(name), seed)]
    if name in WITHOUT_SHARES:
        assert faults, "some schedules have callers that contend"
        faults = [fault for fault in faults if not fault.startswith("8:")]  # See NO_SHARES.
    assert faults == []


@each_opponent
@pytest.mark.parametrize("workload", ["overload-2", "hot"])
def test_under_load_an_opponent_keeps_every_history_right(workload: str, name: str) -> None:
    made = make(workload, 1)
    assert not findings(simulate(name, made), made)


@each_opponent
def test_a_simulation_of_an_opponent_can_be_repeated(name: str) -> None:
    assert simulate(name, make("overload-2", 2)) == simulate(name, make("overload-2", 2))


# Their names.


@pytest.mark.parametrize("name", [*OPPONENTS, *ABLATION, *CONTROLS])
def test_a_server_finds_the_same_by_the_dotted_name(name: str) -> None:
    check(name)
    assert find_as_a_server_does(dotted(name)) is find(name)


def test_only_of_controls_are_faults_expected() -> None:
    assert {name for name in [*OPPONENTS, *ABLATION, *CONTROLS, "queue"] if is_control(name)} == {
        "unprotected",
        "origin",
    }
    assert is_control(dotted("origin"))
    assert not any(is_control(dotted(name)) for name in [*OPPONENTS, *ABLATION])


def test_opponents_are_simulated_by_their_short_names() -> None:
    words = ("--workload", "overload-2", "--seeds", "1", "--strategies", "lock-5,fifo-20")
    result = CliRunner().invoke(simulate_command, words)

    assert result.exit_code == 0
    assert "lock-5" in result.output
    assert "fifo-20" in result.output


def test_a_name_that_is_none_is_not_taken_for_an_opponent() -> None:
    with pytest.raises(UnknownStrategy):
        check("lock-6")


@pytest.mark.parametrize("kind", [SheddingLock, Fifo])
@pytest.mark.parametrize("bound", [0, -1, 2.5, True])
def test_a_bound_below_1_or_no_whole_number_is_refused(kind: Factory, bound: float) -> None:
    with pytest.raises(ValueError, match="bound must be a whole number from 1"):
        Rig(lambda answer, limits: kind(answer, limits, bound=bound))


def test_a_line_for_everybody_needs_a_slot() -> None:
    with pytest.raises(ValueError, match="max_running must be at least 1"):
        Rig(Fifo, Limits(max_running=0))

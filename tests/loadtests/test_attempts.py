"""Attempts told apart: by hand, and held against a simulation that knows them."""

from __future__ import annotations

import asyncio

import pytest

from loadtests.measures import attempts
from loadtests.measures.attempts import LoggedCall
from loadtests.measures.records import LEFT, Call, History, Tried, UserTurn, parts
from loadtests.runs.agent import AgentFault, Scheduled
from loadtests.simulation.simulate import simulate
from loadtests.workloads.shapes import make
from loadtests.workloads.users import message_text
from loadtests.workloads.workload import Arrival
from strategies.testing import run as run_virtual
from tests.loadtests.records import as_found


def turn(number: int, *tries: tuple[int, float, float], ids: str = "") -> UserTurn:
    """Of attempts: status, sent, ended. `ids` has a letter for each, - for one not told."""
    told = ids.replace("-", " ").ljust(len(tries))
    tried = (
        Tried(sent_s, ended_s, status, 1 if status == 200 else 0, 0.0, 0.0, turn_id.strip())
        for (status, sent_s, ended_s), turn_id in zip(tries, told, strict=True)
    )
    return UserTurn(number, "one", tries[0][1], 10.0, 0.0, tuple(tried))


def call(
    message: str,
    began_s: float,
    ended: str = "answered",
    called_s: float | None = None,
    turn_id: str = "",
) -> LoggedCall:
    """One of a second."""
    called_s = began_s if called_s is None else called_s
    return LoggedCall(message, "one", began_s, began_s + 1, ended, called_s, turn_id)


def history(*messages: str) -> History:
    return History("one", messages, "", None)


def called(turns: list[UserTurn], *calls: LoggedCall) -> list[str]:
    return [call.message for call in attempts.of_calls(turns, calls)]


def kept(turns: list[UserTurn], calls: list[LoggedCall], *messages: str) -> list[str]:
    found = attempts.of_histories([history(*messages)], attempts.of_calls(turns, calls))
    return list(found[0].messages)


LEFT_AND_AGAIN = turn(3, (LEFT, 0.0, 1.5), (200, 2.0, 3.5))
"""The first attempt was left while it ran, and the agent went on with it."""


def test_a_call_after_refused_attempts_is_for_the_one_that_was_not_refused() -> None:
    refused = turn(3, (503, 0.0, 0.1), (409, 1.0, 1.1), (200, 2.0, 3.1))

    assert called([refused], call("3", 2.0)) == ["3.3"]
    assert kept([refused], [call("3", 2.0)], "3") == ["3.3"]


def test_a_call_that_was_left_while_it_ran_is_told_from_that_of_the_retry() -> None:
    calls = [call("3", 1.0), call("3", 2.5)]

    assert called([LEFT_AND_AGAIN], *calls) == ["3.1", "3.2"]
    assert kept([LEFT_AND_AGAIN], calls, "3", "3") == ["3.1", "3.2"]


def test_a_call_that_waited_for_a_backend_is_for_the_attempt_that_made_it() -> None:
    calls = [call("3", 2.5, called_s=0.1), call("3", 3.5, called_s=2.1)]

    assert called([LEFT_AND_AGAIN], *calls) == ["3.1", "3.2"]


def test_a_turn_stands_in_the_history_for_a_call_that_was_answered() -> None:
    calls = [call("3", 0.5, "stopped"), call("3", 2.5)]

    assert kept([LEFT_AND_AGAIN], calls, "3") == ["3.2"]


def test_calls_count_in_the_order_in_which_they_ended() -> None:
    calls = [call("3", 2.5), call("3", 1.0)]

    assert kept([LEFT_AND_AGAIN], calls, "3", "3") == ["3.1", "3.2"]


def test_merged_messages_are_told_apart_one_by_one() -> None:
    turns = [LEFT_AND_AGAIN, turn(4, (200, 0.5, 3.5)), turn(5, (429, 0.0, 0.1), (200, 1.9, 3.5))]
    calls = [call("3", 1.0), call("3+4+5", 2.2)]

    assert called(turns, *calls) == ["3.1", "3.2+4.1+5.2"]
    assert kept(turns, calls, "3", "3+4+5") == ["3.1", "3.2+4.1+5.2"]


@pytest.mark.parametrize("ended", ["stopped", "failed"])
def test_a_turn_in_the_history_whose_call_was_not_answered_is_of_no_attempt(ended: str) -> None:
    once = turn(3, (504, 0.0, 1.0))

    assert kept([once], [call("3", 0.0, ended)], "3") == ["3.0"]


def test_a_turn_that_the_history_has_once_more_than_it_was_answered_is_of_no_attempt() -> None:
    calls = [call("3", 1.0), call("3", 2.5)]

    assert kept([LEFT_AND_AGAIN], calls, "3", "3", "3") == ["3.1", "3.2", "3.0"]


def test_where_one_of_two_answered_calls_is_missing_the_other_is_of_no_attempt() -> None:
    calls = [call("3", 1.0), call("3", 2.5)]

    assert kept([LEFT_AND_AGAIN], calls, "3") == ["3.0"]


def test_a_call_before_anything_was_sent_or_of_an_unknown_number_is_of_no_attempt() -> None:
    assert called([LEFT_AND_AGAIN], call("3", -1.0), call("7", 1.0)) == ["3.0", "7.0"]


def test_a_turn_in_another_conversation_than_its_call_is_of_no_attempt() -> None:
    calls = attempts.of_calls([LEFT_AND_AGAIN], [call("3", 2.5)])
    (elsewhere,) = attempts.of_histories([History("two", ("3",), "", None)], calls)

    assert elsewhere.messages == ("3.0",)


def test_a_call_is_for_the_attempt_that_was_told_its_turns_id() -> None:
    tried = turn(3, (504, 0.0, 2.1), (200, 2.2, 4.0), ids="ab")

    assert called([tried], call("3", 2.3, turn_id="a"), call("3", 2.4, turn_id="b")) == [
        "3.1",
        "3.2",
    ]


def test_a_call_for_a_client_that_the_server_has_not_seen_leave_is_not_the_retrys() -> None:
    tried = turn(3, (LEFT, 0.0, 1.5), (503, 1.6, 2.0), (200, 2.2, 4.0), ids="-ab")
    calls = [call("3", 1.7, turn_id="x"), call("3", 2.9, turn_id="b")]

    assert called([tried], *calls) == ["3.1", "3.3"]
    assert kept([tried], calls, "3", "3") == ["3.1", "3.3"]


def test_calls_with_ids_that_nobody_was_told_are_for_one_left_attempt_each() -> None:
    tried = turn(3, (LEFT, 0.0, 1.0), (LEFT, 1.1, 2.0), (503, 2.1, 2.2), ids="--c")
    later = [call("3", 1.5, turn_id="x"), call("3", 3.5, turn_id="y")]
    sooner = [call("3", 0.5, turn_id="x"), call("3", 3.5, turn_id="y")]

    assert sorted(called([tried], *later)) == ["3.1", "3.2"]
    assert called([tried], *sooner) == ["3.1", "3.2"]


def test_a_turn_that_was_called_twice_is_the_same_attempt_twice() -> None:
    tried = turn(3, (LEFT, 0.0, 1.0), (LEFT, 1.1, 2.0))
    again = [call("3", 1.5, turn_id="x"), call("3", 3.5, turn_id="x")]

    assert kept([tried], again, "3", "3") == ["3.2", "3.2"]


def test_more_calls_with_unknown_ids_than_attempts_that_were_left_are_not_hidden() -> None:
    tried = turn(3, (LEFT, 0.0, 1.0), (503, 1.1, 1.2), ids="-b")
    calls = [call("3", 1.5, turn_id="x"), call("3", 3.5, turn_id="y")]

    assert called([tried], *calls) == ["3.1", "3.2"], "and the second is orphaned if it is kept"


def test_of_merged_turns_the_first_goes_by_its_id_and_the_others_by_time() -> None:
    turns = [
        turn(3, (LEFT, 0.0, 1.5), (200, 1.6, 4.0), ids="-b"),
        turn(4, (LEFT, 0.0, 0.1), (200, 1.0, 4.0), ids="-d"),
    ]

    assert called(turns, call("3+4", 1.7, turn_id="x")) == ["3.1+4.2"]


@pytest.mark.parametrize("by_time", [True, False])
@pytest.mark.parametrize("strategy", ["queue", "lock", "reject", "merge", "interrupt"])
@pytest.mark.parametrize("workload", ["overload-2", "faulty", "retrying-openai", "fifty-2"])
def test_attempts_are_found_as_the_simulation_knows_them(
    strategy: str, workload: str, by_time: bool
) -> None:
    run = simulate(strategy, make(workload, 3, services=60))
    found = as_found(run, by_time=by_time)

    # Where all that waits is merged, nobody may have to come again.
    assert strategy == "merge" or any(len(turn.attempts) > 1 for turn in run.turns)
    assert [call.message for call in found.calls] == [call.message for call in run.calls]
    assert [each.messages for each in found.histories] == [each.messages for each in run.histories]


def test_the_agent_fails_once_at_a_message_that_says_so() -> None:
    calls: list[Call] = []
    message = message_text(3, Arrival(0.0, "one", 1.0, fails=True))

    async def live() -> None:
        agent = Scheduled(calls.append, asyncio.get_running_loop().time, None)
        with pytest.raises(AgentFault):
            await agent.answer("one", message, ())
        await agent.answer("one", message, ())

    run_virtual(live())

    assert [(call.message, call.ended) for call in calls] == [("3", "failed"), ("3", "answered")]


def test_a_call_that_was_stopped_has_not_failed_yet() -> None:
    calls: list[Call] = []
    message = message_text(3, Arrival(0.0, "one", 1.0, fails=True))

    async def live() -> None:
        agent = Scheduled(calls.append, asyncio.get_running_loop().time, None)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await agent.answer("one", message, ())
        with pytest.raises(AgentFault):
            await agent.answer("one", message, ())

    run_virtual(live())

    assert [parts(call.message) for call in calls] == [["3"], ["3"]]
    assert [call.ended for call in calls] == ["stopped", "failed"]

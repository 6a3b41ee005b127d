"""Attempts told apart by their times: by hand, and held against a simulation that knows them."""

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


def turn(number: int, *tries: tuple[int, float, float]) -> UserTurn:
    """Of attempts with a status, and when each was sent and ended."""
    tried = (
        Tried(sent_s, ended_s, status, 1 if status == 200 else 0, 0.0, 0.0)
        for status, sent_s, ended_s in tries
    )
    return UserTurn(number, "one", tries[0][1], 10.0, 0.0, tuple(tried))


def call(
    message: str, began_s: float, ended: str = "answered", called_s: float | None = None
) -> LoggedCall:
    """One of a second."""
    called_s = began_s if called_s is None else called_s
    return LoggedCall(message, "one", began_s, began_s + 1, ended, called_s)


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


@pytest.mark.parametrize("strategy", ["queue", "lock", "reject", "merge", "interrupt"])
@pytest.mark.parametrize("workload", ["overload-2", "faulty", "retrying-openai", "fifty-2"])
def test_attempts_are_found_as_the_simulation_knows_them(strategy: str, workload: str) -> None:
    run = simulate(strategy, make(workload, 3, services=60))
    found = as_found(run)

    assert any(len(turn.attempts) > 1 for turn in run.turns)
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

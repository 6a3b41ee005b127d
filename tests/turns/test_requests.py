"""What an agent needs a person for: its turn ends, and another one brings the answers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from pydantic_core import from_json

from runner.agents.requests import Decision, InputRequest
from runner.store.base import Ending
from runner.turns.keys import KeyReused
from strategies import ConversationBusy, State
from tests.support import keepers
from tests.support.stores import KINDS
from tests.turns.stage import Make, ended, stages

YES = {"r1": Decision(approve=True)}
NO = {"r1": Decision(approve=False, reason="too dangerous")}


@pytest.fixture(params=KINDS)
async def make(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Make]:
    monkeypatch.setattr(keepers, "careful", keepers.Careful())
    async with stages(request.param, tmp_path, "careful") as make_one:
        yield make_one


def requested(ending: Ending) -> list[str]:
    """The ids of what is requested."""
    return [one["id"] for one in from_json(ending.requests or b"[]")]


def cause(ending: Ending) -> tuple[str | None, str]:
    return ending.cause, ending.outcome


# An agent asks, and is answered.


@pytest.mark.parametrize("name", ["careful", "Careful"])
async def test_a_turn_that_needs_a_person_ends_and_is_kept(make: Make, name: str) -> None:
    stage = await make(name)
    ending = await stage.ask("delete x")
    assert (ending.state, ending.number, ending.reply) == (State.ANSWERED, 1, "")
    assert from_json(ending.requests or b"") == [
        {
            "kind": "approval",
            "prompt": "Delete x?",
            "name": "delete",
            "arguments": {"path": "x"},
            "id": "r1",
        }
    ]
    assert not stage.service.load().running


@pytest.mark.parametrize("name", ["careful", "Careful"])
@pytest.mark.parametrize(
    ("resume", "told"),
    [
        (YES, {"approve": True, "value": None, "reason": ""}),
        (NO, {"approve": False, "value": None, "reason": "too dangerous"}),
        ({"r1": Decision(True, {"path": "y"})}, {"approve": True, "value": {"path": "y"},
                                                 "reason": ""}),
    ],
    ids=["approved", "denied", "with a value"],
)  # fmt: skip
async def test_the_agent_is_given_the_answers_and_goes_on_from_its_state(
    make: Make, name: str, resume: dict[str, Decision], told: dict[str, Any]
) -> None:
    stage = await make(name)
    await stage.ask("note")
    await stage.ask("delete x")
    ending = await stage.ask(resume=resume)
    assert ending.requests is None
    assert ending.reply == f"done: note, delete x {json.dumps({'r1': told}, sort_keys=True)}"
    assert (await stage.ask("more")).reply == f"{ending.reply}, more"


@pytest.mark.parametrize(
    ("resume", "words"),
    [
        (YES, "approved"),
        (NO, "denied: too dangerous"),
        ({"r1": Decision(False)}, "denied"),
        ({"r1": Decision(True, "blue")}, "blue"),
        ({"r1": Decision(True, [1, "ü"])}, '[1,"ü"]'),
        ({"r1": Decision(True, False)}, "false"),
    ],
)
async def test_the_history_shows_the_answers_in_words(
    make: Make, resume: dict[str, Decision], words: str
) -> None:
    stage = await make()
    await stage.ask("delete x")
    await stage.ask(resume=resume)
    said = [one["content"] for one in await stage.store.messages("c")]
    assert said[:3] == ["delete x", "", words]


@pytest.mark.parametrize(
    ("name", "message"), [("asking", "ask one"), ("yielding", "x"), ("careful", "ask one")]
)
async def test_requests_may_be_returned_yielded_and_raised(
    make: Make, name: str, message: str
) -> None:
    stage = await make(name)
    ending = await stage.ask(message)
    (request_id,) = requested(ending)
    assert ending.reply == ("I will delete it." if name == "yielding" else "")
    answer = {request_id: Decision(True, "1")}
    assert (await stage.ask(resume=answer)).requests is None


async def test_a_resumed_turn_may_ask_again(make: Make) -> None:
    stage = await make()
    await stage.ask("twice x")
    assert requested(await stage.ask(resume=YES)) == ["r2"]
    assert cause(await stage.ask(resume=YES)) == ("WrongResume", "not_started")
    last = await stage.ask(resume={"r2": Decision(True)})
    assert (last.number, last.requests) == (3, None)
    assert (await stage.ask("plain")).state is State.ANSWERED


async def test_answers_that_fail_leave_the_requests_open(make: Make) -> None:
    """I-28"""
    stage = await make()
    await stage.ask("delete x")
    failing = {"r1": Decision(True, reason="raise ValueError")}
    assert (await stage.ask(resume=failing)).state is State.FAILED
    assert (await stage.ask(resume=YES)).number == 2


async def test_answers_that_are_cancelled_at_work_leave_the_requests_open(make: Make) -> None:
    stage = await make()
    await stage.ask("delete x")
    live = await stage.begun("", resume={"r1": Decision(True, reason="hang")})
    await stage.service.cancel(live)
    assert (await ended(live)).state is State.CANCELLED
    assert (await stage.ask(resume=YES)).number == 2


# What does not fit.


async def test_a_plain_message_is_refused_with_the_requests(make: Make) -> None:
    stage = await make()
    await stage.ask("delete x")
    ending = await stage.ask("plain")
    assert cause(ending) == ("InputPending", "not_started")
    assert ending.state is State.REFUSED
    assert requested(ending) == ["r1"]
    assert len(await stage.store.messages("c")) == 2


@pytest.mark.parametrize(
    ("resume", "words"),
    [
        ({"a": Decision(True)}, "'b' is missing"),
        ({"a": Decision(True), "b": Decision(True), "c": Decision(True)}, "there is no 'c'"),
        ({"A": Decision(True), "b": Decision(True)}, "there is no 'A'"),
        ({"": Decision(True)}, "there is no ''"),
    ],
)
async def test_answers_must_be_those_that_are_waited_for(
    make: Make, resume: dict[str, Decision], words: str
) -> None:
    stage = await make()
    await stage.ask("ask a, b")
    ending = await stage.ask(resume=resume)
    assert cause(ending) == ("WrongResume", "not_started")
    assert words in ending.detail
    assert "a, b" in ending.detail
    right = {"a": Decision(True, 1), "b": Decision(False)}
    assert (await stage.ask(resume=right)).state is State.ANSWERED


async def test_an_answer_to_a_megabyte_is_not_told_it_again(make: Make) -> None:
    """I-20: nor is it kept with the ending."""
    stage = await make()
    await stage.ask("delete x")
    ending = await stage.ask(resume={"x" * 900_000: Decision(True)})
    assert cause(ending)[0] == "WrongResume"
    assert len(ending.detail) < 1_500


@pytest.mark.parametrize("resume", [YES, "cancel"], ids=["answers", "cancel"])
async def test_there_is_nothing_to_resume_where_nothing_is_open(make: Make, resume: Any) -> None:
    stage = await make()
    assert cause(await stage.ask(resume=resume)) == ("WrongResume", "not_started")
    await stage.ask("note")
    assert cause(await stage.ask(resume=resume)) == ("WrongResume", "not_started")


async def test_another_conversation_goes_on_meanwhile(make: Make) -> None:
    stage = await make()
    await stage.ask("delete x")
    assert (await stage.ask("a", "other")).reply == "done: a"
    assert cause(await stage.ask(resume=YES, conversation="other"))[0] == "WrongResume"


# Nobody answers.


@pytest.mark.parametrize("name", ["careful", "Careful"])
async def test_cancelled_requests_bring_back_the_state_from_before(make: Make, name: str) -> None:
    stage = await make(name)
    await stage.ask("note")
    await stage.ask("delete x")
    ending = await stage.ask(resume="cancel")
    assert (ending.state, ending.number, ending.requests) == (State.ANSWERED, 3, None)
    assert await stage.state() == {"done": ["note"], "wanted": []}
    assert (await stage.ask("more")).reply == "done: note, more"


async def test_after_several_questions_in_a_row_it_is_that_from_before_the_first(
    make: Make,
) -> None:
    stage = await make()
    await stage.ask("note")
    await stage.ask("twice x")
    await stage.ask(resume=YES)
    await stage.ask(resume="cancel")
    assert await stage.state() == {"done": ["note"], "wanted": []}


async def test_what_is_asked_in_a_first_turn_and_cancelled_leaves_a_blank_state(
    make: Make,
) -> None:
    stage = await make()
    await stage.ask("delete x")
    await stage.ask(resume="cancel")
    assert (await stage.ask("a")).reply == "done: a"


async def test_no_agent_is_called_to_cancel_its_requests(make: Make, tmp_path: Path) -> None:
    stage = await make()
    await stage.ask("delete x")
    keepers.careful.done.append("touched")
    await stage.ask(resume="cancel")
    assert keepers.careful.done == ["touched"]


async def test_a_conversation_may_be_forgotten_with_its_requests(make: Make) -> None:
    stage = await make()
    await stage.ask("delete x")
    await stage.service.forget("c")
    assert (await stage.ask("a")).reply == "done: a"


# Others in the line, and other strategies.


async def test_those_in_line_behind_a_question_are_refused_and_may_ask_again(make: Make) -> None:
    """I-8"""
    stage = await make()
    first = await stage.begin("delete x")
    behind = [await stage.begin(f"m{n}") for n in range(5)]
    await ended(first)
    endings = [await ended(live) for live in behind]
    assert {cause(one) for one in endings} == {("InputPending", "not_started")}
    assert all(requested(one) == ["r1"] for one in endings)
    await stage.ask(resume=YES)
    assert (await stage.ask("m0")).number == 3


async def test_an_answer_that_stands_behind_others_comes_to_its_turn(make: Make) -> None:
    stage = await make()
    await stage.ask("delete x")
    lives = [await stage.begin(f"m{n}") for n in range(3)]
    resume = await stage.begin(resume=YES)
    behind = await stage.begin("behind")
    assert (await ended(resume)).number == 2
    assert (await ended(behind)).number == 3
    assert {cause(await ended(live))[0] for live in lives} == {"InputPending"}


@pytest.mark.parametrize("strategy", ["queue", "lock", "interrupt", "merge"])
async def test_two_who_answer_at_once_use_the_tool_once(make: Make, strategy: str) -> None:
    stage = await make(strategy=strategy)
    await stage.ask("delete x")
    lives = [await stage.begin(resume=YES) for _ in range(4)]
    endings = [await ended(live) for live in lives]
    answered = [one for one in endings if one.state is State.ANSWERED]
    assert len(answered) == 1
    assert (await stage.state())["done"] == [
        'delete x {"r1": {"approve": true, "reason": "", "value": null}}'
    ]


async def test_under_reject_the_second_who_answers_is_refused_at_once(make: Make) -> None:
    stage = await make(strategy="reject")
    await stage.ask("delete x")
    first = await stage.begin(resume=YES)
    with pytest.raises(ConversationBusy):
        await stage.begin(resume=YES)
    assert (await ended(first)).state is State.ANSWERED


async def test_messages_that_are_merged_find_the_question_together(make: Make) -> None:
    stage = await make(strategy="merge")
    first = await stage.begun("sleep 0.05")
    asks = await stage.begin("delete x")
    await ended(first)
    await ended(asks)
    lives = [await stage.begin(f"m{n}") for n in range(3)]
    endings = [await ended(live) for live in lives]
    assert {cause(one) for one in endings} == {("InputPending", "not_started")}
    assert all(requested(one) == ["r1"] for one in endings)


async def test_answers_are_never_merged_with_messages(make: Make) -> None:
    stage = await make(strategy="merge")
    await stage.ask("delete x")
    lives = [await stage.begin("a"), await stage.begin(resume=YES), await stage.begin("b")]
    endings = [await ended(live) for live in lives]
    assert endings[1].state is State.ANSWERED
    said = [one["content"] for one in await stage.store.messages("c")][::2]
    assert "approved" in said


async def test_a_merged_turn_may_ask_for_all_of_its_messages(make: Make) -> None:
    stage = await make(strategy="merge")
    first = await stage.begun("sleep 0.05")
    lives = [await stage.begin("delete x"), await stage.begin("and more")]
    await ended(first)
    for live in lives:
        assert requested(await ended(live)) == ["r1"]
        found = await stage.store.find(live.turn.id)
        assert found is not None
        assert found.ending is not None
        assert requested(found.ending) == ["r1"]


@pytest.mark.parametrize("chosen", [None, "interrupt", "rollback"])
async def test_answers_at_work_are_not_stopped_by_other_answers(
    make: Make, chosen: str | None
) -> None:
    """Or the tool that was approved once might be used twice."""
    stage = await make(strategy="queue" if chosen else "interrupt")
    await stage.ask("delete x")
    first = await stage.begun("", resume={"r1": Decision(True, reason="sleep 0.1")})
    for resume in (YES, NO, "cancel"):
        other = await stage.begin("", resume=resume, strategy=chosen)
        assert cause(await ended(other)) == ("WrongResume", "not_started")
    assert (await ended(first)).state is State.ANSWERED
    assert len((await stage.state())["done"]) == 1


@pytest.mark.parametrize(
    ("strategy", "chosen"),
    [
        ("queue", None), ("lock", None), ("merge", None), ("interrupt", None),
        ("queue", "interrupt"), ("queue", "rollback"), ("interrupt", "rollback"),
    ],
)  # fmt: skip
async def test_a_message_waits_for_answers_at_work_and_is_then_answered(
    make: Make, strategy: str, chosen: str | None
) -> None:
    """Stopped, they would leave the requests open, for which the message would be refused."""
    stage = await make(strategy=strategy)
    await stage.ask("delete x")
    answers = await stage.begun("", resume={"r1": Decision(True, reason="sleep 0.1")})
    messages = [await stage.begin(text, strategy=chosen) for text in ("one", "two")]
    assert (await ended(answers)).state is State.ANSWERED
    for message in messages:
        assert (await ended(message)).state is State.ANSWERED
    said = [one["content"] for one in await stage.store.messages("c")][::2]
    assert "\n\n".join(said) == "delete x\n\napproved\n\none\n\ntwo"


async def test_a_message_stops_another_again_once_the_answers_have_ended(make: Make) -> None:
    stage = await make(strategy="interrupt")
    await stage.ask("delete x")
    await stage.ask(resume=YES)
    first = await stage.begun("hang")
    assert (await stage.ask("plain")).state is State.ANSWERED
    assert (await ended(first)).state is State.INTERRUPTED


# Restarts and keys.


async def test_requests_and_state_survive_a_restart(make: Make) -> None:
    stage = await make()
    await stage.ask("note")
    asked = await stage.ask("delete x")
    await stage.stop()
    keepers.careful = keepers.Careful()
    await stage.start()
    assert cause(await stage.ask("plain"))[0] == "InputPending"
    ending = await stage.ask(resume=YES)
    assert (ending.number, ending.requests) == (asked.number + 1, None)
    assert (ending.reply or "").startswith("done: note, delete x")


async def test_the_same_key_asks_once_and_is_told_the_same_requests(make: Make) -> None:
    """I-19"""
    stage = await make()
    first = await stage.begin("delete x", key="k")
    again = await stage.begin("delete x", key="k")
    assert requested(await ended(first)) == requested(await ended(again)) == ["r1"]
    later = await stage.begin("delete x", key="k")
    assert later.turn.id == first.turn.id
    assert requested(await ended(later)) == ["r1"]


async def test_answers_under_the_same_key_are_given_once(make: Make) -> None:
    """I-19"""
    stage = await make()
    await stage.ask("delete x")
    lives = [await stage.begin(resume=YES, key="k") for _ in range(4)]
    replies = {(await ended(live)).reply for live in lives}
    assert len(replies) == 1
    assert len((await stage.state())["done"]) == 1
    again = await stage.begin(resume=YES, key="k")
    assert (await ended(again)).reply in replies


@pytest.mark.parametrize("other", [NO, "cancel", {"r1": Decision(True, 1)}])
async def test_a_key_of_other_answers_is_refused(make: Make, other: Any) -> None:
    """I-19: also where the answers are the same in words."""
    stage = await make()
    await stage.ask("delete x")
    await ended(await stage.begin(resume=YES, key="k"))
    with pytest.raises(KeyReused):
        await stage.begin(resume=other, key="k")


async def test_a_message_in_the_words_of_the_answers_is_no_answer(make: Make) -> None:
    stage = await make()
    await stage.ask("delete x")
    await ended(await stage.begin(resume=YES, key="k"))
    with pytest.raises(KeyReused):
        await stage.begin("approved", key="k")


async def test_a_message_that_was_refused_for_a_question_leaves_its_key(make: Make) -> None:
    stage = await make()
    await stage.ask("delete x")
    await ended(await stage.begin("plain", key="k"))
    await stage.ask(resume=YES)
    assert (await ended(await stage.begin("plain", key="k"))).state is State.ANSWERED


async def test_a_refused_message_is_kept_without_the_requests(make: Make) -> None:
    """They may be a megabyte, and so many times as one asks in vain."""
    stage = await make()
    await stage.ask("delete x")
    live = await stage.begin("plain", key="k")
    assert requested(await ended(live)) == ["r1"]
    found = await stage.store.find(live.turn.id)
    assert found is not None
    assert found.ending is not None
    assert (found.ending.cause, found.ending.requests) == ("InputPending", None)


async def test_the_counters_agree_after_questions_and_refusals(make: Make) -> None:
    """I-9"""
    stage = await make()
    await stage.ask("delete x")
    await stage.ask("plain")
    await stage.ask(resume={"wrong": Decision(True)})
    await stage.ask(resume="cancel")
    load = stage.service.load()
    assert load.accepted == sum(load.ended.values()) == 4
    assert (load.waiting, load.running) == (0, 0)
    await asyncio.sleep(0)


# What an agent may ask.


@pytest.mark.parametrize("message", ["no arguments", "empty arguments"])
async def test_a_tool_without_arguments_may_be_approved(make: Make, message: str) -> None:
    stage = await make("asking")
    await stage.ask(message)
    assert (await stage.ask(resume=YES)).state is State.ANSWERED


@pytest.mark.parametrize(
    "request_id", ["", "x" * 600, 7, None], ids=["empty", "long", "number", "none"]
)
async def test_an_id_that_no_client_could_answer_fails_the_turn(
    make: Make, request_id: Any
) -> None:
    """Else its conversation would wait for ever."""
    stage = await make("strange_requests")
    keepers.STRANGE[:] = [InputRequest(prompt="?", id=request_id)]
    live = await stage.begin("x")
    assert (await ended(live)).state is State.FAILED
    assert "id" in str(live.fault)
    keepers.STRANGE[:] = []
    assert (await stage.ask("x")).state is State.ANSWERED


@pytest.mark.parametrize(
    ("field", "value"),
    [("kind", "order"), ("prompt", 7), ("name", ["x"]), ("arguments", object())],
)
async def test_a_request_that_is_no_request_fails_the_turn(
    make: Make, field: str, value: Any
) -> None:
    stage = await make("strange_requests")
    keepers.STRANGE[:] = [InputRequest(**{field: value})]
    assert (await stage.ask("x")).state is State.FAILED


async def test_two_requests_of_one_id_fail_the_turn(make: Make) -> None:
    stage = await make("strange_requests")
    keepers.STRANGE[:] = [keepers.delete_request("a"), keepers.delete_request("b")]
    assert (await stage.ask("x")).state is State.FAILED

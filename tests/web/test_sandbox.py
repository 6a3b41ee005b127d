"""What is shown side by side, in virtual time: it is true, and it leaves nothing behind."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from runner.agents.base import Message
from runner.web.sandbox import ABOUT, MESSAGES
from runner.web.side_by_side import show
from runner.web.verdict import verdict
from strategies import registry
from strategies.testing import VirtualLoop, run

Told = list[tuple[str, Any]]

ALL_KNOWN = "All 5 messages are in the history, in order, and each reply knows what came before."


async def whole() -> Told:
    told: Told = []
    await show(lambda kind, data: told.append((kind, data)))
    return told


@pytest.fixture(scope="module")
def told() -> Told:
    return run(whole())


def end_of(told: Told, arrangement: str) -> dict[str, Any]:
    """The data of its `end`."""
    ends: Iterator[dict[str, Any]] = (data for kind, data in told if kind == "end")
    return next(end for end in ends if end["arrangement"] == arrangement)


def last_of(told: Told, arrangement: str) -> list[dict[str, Any]]:
    """The last that was told of each sender."""
    lanes = [data for kind, data in told if kind == "lane" and data["arrangement"] == arrangement]
    return [[lane for lane in lanes if lane["sender"] == sender][-1] for sender in range(5)]


def said_to(told: Told, arrangement: str) -> list[tuple[int, str]]:
    return [(last["status"], last["told"]) for last in last_of(told, arrangement)]


def test_without_a_strategy_every_sender_is_answered_as_if_it_were_the_first(told: Told) -> None:
    assert [words for _, words in said_to(told, "none")] == [
        "Nice to meet you, Ada.",
        "You have not told me your name.",
        "This is turn 1 of our conversation.",
        "You have not told me your name.",
        "This is turn 1 of our conversation.",
    ]


def test_without_a_strategy_the_history_tells_that_its_replies_knew_nothing(told: Told) -> None:
    found = "but 4 of 5 replies are given without knowing what came before."
    assert end_of(told, "none")["verdict"].endswith(found)


@pytest.mark.parametrize("strategy", ["lock", "queue"])
def test_in_a_line_every_reply_knows_what_came_before(told: Told, strategy: str) -> None:
    assert said_to(told, strategy) == [
        (200, "Nice to meet you, Ada."),
        (200, "Your name is Ada."),
        (200, "This is turn 3 of our conversation."),
        (200, "Your name is Ada."),
        (200, "This is turn 5 of our conversation."),
    ]
    assert end_of(told, strategy)["verdict"] == ALL_KNOWN


def test_in_the_queue_a_sender_sees_its_place_count_down(told: Told) -> None:
    lanes = [data for kind, data in told if kind == "lane"]
    places = [
        lane["position"]
        for lane in lanes
        if (lane["arrangement"], lane["sender"]) == ("queue", 4) and "position" in lane
    ]
    assert places == [4, 3, 2, 1]


def test_reject_tells_all_but_the_first_to_come_again(told: Told) -> None:
    first, *others = said_to(told, "reject")
    assert first == (200, "Nice to meet you, Ada.")
    assert [status for status, _ in others] == [409] * 4
    assert all(words.startswith("A turn of this conversation is running.") for _, words in others)
    assert end_of(told, "reject")["verdict"] == "1 of 5 messages is in the history."


def test_interrupt_stops_all_but_the_last_and_keeps_their_words(told: Told) -> None:
    states = [last["state"] for last in last_of(told, "interrupt")]
    assert states == ["interrupted"] * 4 + ["answered"]
    kept = [said["content"] for said in end_of(told, "interrupt")["history"][1::2]]
    assert kept == [words for _, words in said_to(told, "interrupt")]


def test_merge_gives_all_that_waited_one_reply(told: Told) -> None:
    assert len(set(said_to(told, "merge")[1:])) == 1
    assert end_of(told, "merge")["verdict"] == (
        "All 5 messages are in the history, in order, as 2 turns, "
        "and each reply knows what came before."
    )


def test_every_built_in_strategy_is_shown_beside_none() -> None:
    assert set(ABOUT) == {"none", *registry.BUILT_IN}


def test_no_two_messages_are_the_same() -> None:
    assert len(set(MESSAGES)) == len(MESSAGES)


@pytest.mark.parametrize("after_s", [0.0, 0.1, 0.5, 1.2, 2.4])
def test_whenever_it_is_ended_no_task_and_no_timer_is_left(after_s: float) -> None:
    loop = VirtualLoop()

    async def cut() -> int:
        shown = asyncio.create_task(whole())
        await asyncio.sleep(after_s)
        shown.cancel()
        await asyncio.wait([shown])
        assert shown.cancelled()
        return len(asyncio.all_tasks())

    try:
        assert loop.run_until_complete(cut()) == 1, "the test's own"
        assert loop.pending_timers() == 0
    finally:
        loop.close()


def history(*said: str) -> list[Message]:
    messages: list[Message] = []
    for message, reply in zip(said[::2], said[1::2], strict=True):
        messages.append({"role": "user", "content": message})
        messages.append({"role": "assistant", "content": reply})
    return messages


MET, ASKED = "Nice to meet you, Ada.", "You have not told me your name."
AWARE = "Your name is Ada."


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ([], "None of 2 messages are in the history."),
        ([MESSAGES[1], ASKED, MESSAGES[0], MET], "All 2 messages are in the history, out of order"),
        ([MESSAGES[0], MET] * 2, "1 of 2 messages is in the history, out of order or twice"),
        ([MESSAGES[0], MET, MESSAGES[1], "Your"], "1 of 2 replies is cut off by the next message."),
        ([MESSAGES[0], MET, MESSAGES[1], ASKED], "1 of 2 replies is given without knowing"),
        ([MESSAGES[0], MET, MESSAGES[1], AWARE], "and each reply knows what came before."),
    ],
)
def test_the_verdict_is_of_the_history_that_is_there(found: Sequence[str], words: str) -> None:
    assert words in run(verdict(MESSAGES[:2], history(*found)))

"""Eliza remembers, and the chain proves order."""

from __future__ import annotations

import pytest

from loadtests.measures.chains import check_chain, check_replies
from runner.agents.base import Message
from runner.agents.chain import Chain, make_link
from runner.agents.eliza import Eliza


async def talk(agent: Eliza, *messages: str) -> list[str]:
    return [await agent.answer(message) for message in messages]


async def test_eliza_remembers_a_name_and_counts_turns() -> None:
    replies = await talk(Eliza(), "My name is ada.", "What is my name?", "How many turns so far?")
    assert "Ada" in replies[0]
    assert "Ada" in replies[1]
    assert "turn 3" in replies[2]


async def test_eliza_takes_up_where_the_history_ends() -> None:
    history: list[Message] = [
        {"role": "user", "content": "call me Bob"},
        {"role": "assistant", "content": "Nice to meet you, Bob."},
    ]
    replies = await talk(Eliza(history), "Who am I?", "How many messages was that?")
    assert "Bob" in replies[0]
    assert "turn 3" in replies[1]


@pytest.mark.parametrize("message", ["I need {0} {name}", "{", "", "?", "x" * 10_000, "I am 日本"])
async def test_eliza_has_an_answer_to_anything(message: str) -> None:
    assert await Eliza().answer(message)


@pytest.mark.parametrize("agent", [Eliza, Chain])
@pytest.mark.parametrize("thinking_s", [-1, float("nan"), "soon"])
def test_a_thinking_time_that_cannot_be_is_refused(agent: type, thinking_s: object) -> None:
    with pytest.raises(ValueError, match=r"thinking_s|could not convert"):
        agent(thinking_s=thinking_s)


async def chain_of(*messages: str) -> list[Message]:
    history: list[Message] = []
    for message in messages:
        reply = await Chain().answer(message, history)
        history += [
            Message(role="user", content=message),
            Message(role="assistant", content=reply),
        ]
    return history


def pairs(history: list[Message]) -> list[tuple[str, str]]:
    said = [message["content"] for message in history]
    return list(zip(said[::2], said[1::2], strict=True))


async def test_a_whole_chain_has_no_faults_and_may_be_seen_in_any_order() -> None:
    history = await chain_of("a", "b", "c", "d")
    assert check_chain(history) == []
    assert check_replies(reversed(pairs(history))) == []


async def test_each_way_to_break_a_chain_shows() -> None:
    history = await chain_of("a", "b", "c", "d")
    lost = history[:2] + history[4:]
    twice = history + history[-2:]
    swapped = history[:2] + history[4:6] + history[2:4] + history[6:]
    changed = [*history[:2], Message(role="user", content="x"), *history[3:]]
    half = history[:-1]
    for broken in (lost, twice, swapped, changed, half):
        assert check_chain(broken) != []


async def test_replies_alone_show_a_turn_that_is_lost_repeated_or_forked() -> None:
    whole = pairs(await chain_of("a", "b", "c"))
    assert check_replies([whole[0], whole[2]]) != []
    assert check_replies([*whole, whole[1]]) != []
    assert check_replies([*whole, ("x", make_link(4, "0" * 64, "x"))]) != []
    assert check_replies(whole[:2]) == []

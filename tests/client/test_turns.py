"""Turns of a real server, under each strategy."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.client.conftest import Connect, Meanwhile
from tests.support.server import Server
from turnline import (
    Cancelled,
    Client,
    OutcomeUnknown,
    Piece,
    Refused,
    Reply,
    Retrying,
    Started,
    TurnFailed,
    Waiting,
)

EVERY = ["queue", "reject", "interrupt"]
TELLER = "tests.support.agents:teller"
each_strategy = pytest.mark.parametrize("strategy", EVERY)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(
        tmp_path_factory.mktemp("turns"), target=TELLER, strategy__per_turn=EVERY
    ) as running:
        yield running


@each_strategy
def test_turns_of_a_conversation_are_answered_one_after_the_other(
    client: Client, conversation: str, strategy: str
) -> None:
    replies = [client.ask(f"{n} 0", conversation, strategy=strategy) for n in (1, 2)]
    assert [reply.number for reply in replies] == [1, 2]
    assert replies[1].text == "piece 0, piece 1, "
    assert replies[1].conversation_id == conversation
    said = client.history(conversation)
    assert [one.content for one in said] == ["1 0", "piece 0, ", "2 0", replies[1].text]
    assert [one.role for one in client.history(conversation, 1)] == ["assistant"]


@each_strategy
def test_a_stream_gives_the_pieces_and_last_the_reply(
    client: Client, conversation: str, strategy: str
) -> None:
    events = list(client.stream("3 0.01", conversation, strategy=strategy))
    assert isinstance(events[0], Waiting)
    assert isinstance(events[1], Started)
    assert isinstance(events[-1], Reply)
    assert events[-1].text == "".join(one.text for one in events if isinstance(one, Piece))
    assert events[-1].turn_id == events[0].turn_id == events[1].turn_id


def test_a_stream_tells_the_place_in_the_line(
    client: Client, server: Server, conversation: str
) -> None:
    server.ask(f"1 0 until {conversation}", conversation)
    places: list[int | None] = []
    for event in client.stream("1 0", conversation):
        if isinstance(event, Waiting):
            places.append(event.position)
            server.let_on(conversation)
    assert places[0] == 1


def test_three_at_once_are_answered_one_at_a_time_by_a_line(
    connect: Connect, server: Server, conversation: str
) -> None:
    asked = [
        Meanwhile(lambda n=n: connect(server).ask(f"{n} 0.01", conversation))  # type: ignore[misc]
        for n in (1, 2, 3)
    ]
    assert sorted(one.result.number for one in asked) == [1, 2, 3]


def test_a_busy_conversation_that_refuses_is_asked_again_until_it_takes(
    client: Client, server: Server, conversation: str
) -> None:
    """A 409 has not started, and says when to come again."""
    message = f"1 0 until {conversation}"
    server.ask(message, conversation)
    server.until_called(message)
    reasons: list[Exception] = []
    for event in client.stream("2 0", conversation, strategy="reject"):
        if isinstance(event, Retrying):
            reasons.append(event.reason)
            server.let_on(conversation)
    assert [type(one) for one in reasons] == [Refused]
    assert isinstance(reasons[0], Refused)
    assert reasons[0].name == "conversation-busy"
    assert len(client.history(conversation)) == 4


def test_without_retries_a_refusal_is_raised_with_all_that_it_says(
    connect: Connect, server: Server, conversation: str
) -> None:
    message = f"1 0 until {conversation}"
    turn_id = server.ask(message, conversation)
    server.until_called(message)
    with pytest.raises(Refused) as told:
        connect(server, retries=0).ask("2 0", conversation, strategy="reject")
    assert (told.value.status, told.value.outcome) == (409, "not_started")
    assert told.value.type == "urn:turnline:problem:conversation-busy"
    assert told.value.retry_after_s is not None
    assert str(told.value).startswith("409 A turn of this conversation is running.")
    server.let_on(conversation)
    assert connect(server).wait(turn_id).number == 1


def test_a_turn_that_a_newer_message_stopped_says_so(
    client: Client, connect: Connect, server: Server, conversation: str
) -> None:
    events = client.stream("1 0 hang", conversation)
    assert isinstance(next(event for event in events if not isinstance(event, Waiting)), Started)
    assert next(events) == Piece("piece 0, ")
    assert connect(server).ask("2 0", conversation, strategy="interrupt").number == 2
    last = list(events)[-1]
    assert isinstance(last, Reply)
    assert (last.interrupted, last.text, last.number) == (True, "piece 0, ", 1)


def test_a_cancelled_turn_raises_cancelled_where_it_is_waited_for(
    client: Client, conversation: str
) -> None:
    events = client.stream("1 0 hang", conversation)
    started = next(event for event in events if isinstance(event, Started))
    cancelled = client.cancel(started.turn_id)
    assert cancelled.state == "cancelled"
    assert isinstance(cancelled.error, Cancelled)
    with pytest.raises(Cancelled) as told:
        list(events)
    assert told.value.name == "turn-cancelled"
    assert client.history(conversation) == []


def test_a_stream_that_is_left_is_not_cancelled(
    client: Client, server: Server, conversation: str
) -> None:
    turn_id = ""
    with closing(client.stream(f"1 0 until {conversation}", conversation)) as events:
        for event in events:
            if isinstance(event, Started):
                turn_id = event.turn_id
                break
    server.let_on(conversation)
    assert client.wait(turn_id).text == "piece 0, "


def test_a_failure_of_the_agent_is_raised_and_not_tried_again(
    client: Client, server: Server, conversation: str
) -> None:
    message = f"1 0 raise ValueError {conversation}"
    with pytest.raises(TurnFailed) as told:
        client.ask(message, conversation)
    assert (told.value.status, told.value.name) == (502, "agent-failed")
    assert told.value.outcome == "rolled_back"
    assert server.calls().count(f"began {message}") == 1


def test_a_deadline_ends_a_turn_that_takes_longer(client: Client, conversation: str) -> None:
    with pytest.raises(TurnFailed) as told:
        client.ask("1 0 hang", conversation, deadline_s=0.5)
    assert told.value.name == "turn-timeout"


def test_a_wrong_message_is_refused_with_the_field(client: Client, conversation: str) -> None:
    with pytest.raises(Refused) as told:
        client.ask("", conversation)
    assert told.value.document["pointer"] == "/message"


def test_a_call_needs_a_message_or_answers(client: Client) -> None:
    with pytest.raises(TypeError):
        client.ask()
    with pytest.raises(TypeError):
        client.ask("x", resume="cancel")


def test_the_same_key_and_message_are_one_turn(client: Client, conversation: str) -> None:
    first, second = (client.ask("1 0", conversation, idempotency_key="k") for _ in range(2))
    assert first == second
    assert client.ask("1 0", conversation).number == 2


def test_background_returns_at_once_and_the_turn_can_be_waited_for(
    client: Client, server: Server, conversation: str
) -> None:
    turn = client.background(f"1 0 until {conversation}", conversation)
    assert turn.state in ("waiting", "running")
    assert not turn.has_ended
    server.let_on(conversation)
    reply = client.wait(turn.id)
    ended = client.turn(turn.id)
    assert (ended.state, ended.has_ended) == ("answered", True)
    assert ended.reply == reply
    assert [one.text for one in client.events(turn.id) if isinstance(one, Piece)] == ["piece 0, "]


def test_a_background_turn_can_be_cancelled_while_it_waits(
    client: Client, server: Server, conversation: str
) -> None:
    first = client.background(f"1 0 until {conversation}", conversation)
    turn = client.background("2 0", conversation)
    assert client.cancel(turn.id).state == "cancelled"
    with pytest.raises(Cancelled) as told:
        client.wait(turn.id)
    assert told.value.outcome == "not_started"
    server.let_on(conversation)
    client.wait(first.id)


def test_what_became_of_a_turn_that_the_server_does_not_know_is_unknown(client: Client) -> None:
    for ask in (client.wait, client.turn, client.cancel):
        with pytest.raises(OutcomeUnknown) as told:
            ask("nobody")
        assert (told.value.status, told.value.turn_id) == (404, "nobody")


def test_a_conversation_is_forgotten_unless_it_is_busy(
    connect: Connect, server: Server, conversation: str
) -> None:
    client = connect(server, retries=0)
    turn = client.background(f"1 0 until {conversation}", conversation)
    with pytest.raises(Refused):
        client.forget(conversation)
    server.let_on(conversation)
    client.wait(turn.id)
    client.forget(conversation)
    assert client.history(conversation) == []
    with pytest.raises(Refused) as told:
        client.forget(conversation)
    assert told.value.status == 404


def test_the_server_says_how_it_is(client: Client) -> None:
    assert client.health()["status"] == "healthy"


def test_priority_and_metadata_reach_the_turn(
    connect: Connect, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("aware")
    with Server(folder, target="tests.support.keepers:aware") as server:
        client = connect(server)
        reply = client.ask("x", metadata={"locale": "de"}, priority=1)
        assert json.loads(reply.text)["metadata"] == {"locale": "de"}
        assert server.turn(reply.turn_id)["priority"] == 1


def test_callers_have_their_own_conversations_and_turns(
    connect: Connect, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with Server(
        tmp_path_factory.mktemp("callers"),
        target=TELLER,
        server__tokens=["ann:a-token", "bob:b-token"],
    ) as server:
        ann, bob = connect(server, "a-token"), connect(server, "b-token")
        turn = ann.background("1 0")
        assert ann.wait(turn.id).number == 1
        assert bob.ask("2 0").number == 1
        with pytest.raises(OutcomeUnknown):
            bob.turn(turn.id)
        with pytest.raises(Refused) as told:
            connect(server).ask("3 0")
        assert told.value.status == 401

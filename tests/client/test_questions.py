"""What an agent needs a person for, and what it tells while it works."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.client.conftest import Connect
from tests.support.server import Server
from turnline import (
    Answer,
    Client,
    InputRequired,
    Piece,
    Reasoning,
    Refused,
    Reply,
    ToolCall,
    ToolResult,
    Usage,
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("questions")
    with Server(folder, target="tests.support.keepers:careful") as running:
        yield running


def test_what_an_agent_asks_is_raised_and_answered(client: Client, conversation: str) -> None:
    with pytest.raises(InputRequired) as asked:
        client.ask("delete x", conversation)
    (request,) = asked.value.requests
    assert (request.kind, request.name, request.arguments) == ("approval", "delete", {"path": "x"})
    assert (request.prompt, asked.value.outcome) == ("Delete x?", None)
    answers = {request.id: Answer(approve=True, reason="why not")}
    assert '"reason": "why not"' in client.ask(None, conversation, resume=answers).text


def test_a_question_is_answered_with_any_json(client: Client, conversation: str) -> None:
    with pytest.raises(InputRequired) as asked:
        client.ask("ask colour, size", conversation)
    answers = {request.id: Answer(value=[request.prompt]) for request in asked.value.requests}
    events = list(client.stream(None, conversation, resume=answers))
    assert isinstance(events[-1], Reply)
    assert '"value": ["colour?"]' in events[-1].text


def test_a_message_that_comes_to_an_open_question_was_not_taken(
    client: Client, conversation: str
) -> None:
    with pytest.raises(InputRequired):
        client.ask("delete x", conversation)
    with pytest.raises(InputRequired) as asked:
        client.ask("hello", conversation)
    assert (asked.value.status, asked.value.outcome) == (409, "not_started")
    assert [request.id for request in asked.value.requests] == ["r1"]
    client.ask(None, conversation, resume="cancel")
    assert client.ask("hello", conversation).text.endswith("hello")


def test_a_turn_in_the_background_may_ask_too(client: Client, conversation: str) -> None:
    turn = client.background("delete x", conversation)
    with pytest.raises(InputRequired):
        client.wait(turn.id)
    ended = client.turn(turn.id)
    assert ended.state == "answered"
    assert isinstance(ended.error, InputRequired)
    answered = client.background(None, conversation, resume={"r1": Answer(approve=False)})
    assert '"approve": false' in client.wait(answered.id).text


def test_an_answer_to_nothing_is_refused(client: Client, conversation: str) -> None:
    with pytest.raises(Refused) as told:
        client.ask(None, conversation, resume={"r1": Answer()})
    assert told.value.status == 422


def test_words_before_a_question_come_with_it(
    connect: Connect, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with Server(tmp_path_factory.mktemp("y"), target="tests.support.keepers:yielding") as server:
        events = connect(server).stream("x")
        said: list[str] = []
        with pytest.raises(InputRequired) as asked:
            said.extend(event.text for event in events if isinstance(event, Piece))
        assert asked.value.text == "I will delete it."


def test_what_an_agent_tells_while_it_works_is_typed(
    connect: Connect, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with Server(tmp_path_factory.mktemp("w"), target="tests.support.keepers:working") as server:
        events = list(connect(server).stream("1"))
    told = [one for one in events if isinstance(one, Reasoning | ToolCall | ToolResult)]
    assert told == [
        Reasoning("I had better look."),
        ToolCall("c0", "look", {"at": 0}),
        ToolResult("c0", "look", {"seen": 0}),
    ]
    assert isinstance(events[-1], Reply)
    assert events[-1].usage == Usage(12, 3)


def test_parts_and_output_come_as_they_are(
    connect: Connect, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with Server(tmp_path_factory.mktemp("p"), target="tests.support.keepers:parts_of") as server:
        reply = connect(server).ask(
            [
                {"type": "text", "text": "What is this?"},
                {"type": "image", "media_type": "image/png", "data": "iVBORw=="},
            ]
        )
    assert '"media_type": "image/png"' in reply.text


def test_a_reply_that_is_more_than_text_is_given_as_it_is(
    connect: Connect, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with Server(tmp_path_factory.mktemp("o"), target="tests.support.keepers:outputs") as server:
        assert connect(server).ask("dict").output == {"a": [1, None, True, {"b": "ü"}]}

"""What an agent asks of a person, to a chat program that knows of texts alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.chat_program import ChatProgram, client_of
from tests.support.server import Server

openai: Any = pytest.importorskip("openai", reason="OpenAI's client is not installed")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with Server(tmp_path, target="tests.support.keepers:Careful") as running:
        yield running


@pytest.fixture
def chat(server: Server) -> ChatProgram:
    return ChatProgram(client_of(server, openai))


def test_a_question_is_shown_and_the_next_message_answers_it(chat: ChatProgram) -> None:
    assert chat.ask("ask name") == "name?"
    assert chat.last["choices"][0]["finish_reason"] == "stop"
    assert chat.last["requests"] == [{"id": "name", "kind": "question", "prompt": "name?"}]
    assert '"value": "Ann"' in chat.ask("Ann")
    assert chat.found == "continued"
    chat.ask("and on")
    assert chat.found == "continued"


def test_an_approval_is_given_by_yes(chat: ChatProgram, server: Server) -> None:
    assert "Answer yes or no." in chat.ask("delete all")
    assert "began" not in chat.ask("Yes!")
    assert "tool delete all" in server.calls()


def test_a_denial_is_given_by_no_with_its_reason(chat: ChatProgram) -> None:
    chat.ask("delete all")
    assert '"approve": false, "reason": "too many"' in chat.ask("no, too many")


def test_nothing_but_yes_or_no_decides(chat: ChatProgram, server: Server) -> None:
    chat.ask("delete all")
    with pytest.raises(openai.ConflictError, match="waits for answers") as told:
        chat.ask("perhaps")
    assert told.value.body["requests"][0]["id"] == "r1"
    assert "tool delete all" not in server.calls()
    chat.ask("yes")
    assert "tool delete all" in server.calls()


def test_requests_are_dropped_by_cancel(chat: ChatProgram) -> None:
    chat.ask("delete all")
    assert "dropped" in chat.ask("cancel")
    assert chat.ask("now this") == "done: now this"


def test_several_questions_are_answered_by_resume(chat: ChatProgram) -> None:
    assert chat.ask("ask name, age") == "name?\n\nage?"
    with pytest.raises(openai.ConflictError):
        chat.ask("Ann")
    answers = {"name": {"approve": True, "value": "Ann"}, "age": {"approve": True, "value": 7}}
    assert '"value": 7' in chat.ask("Ann, 7", extra_body={"resume": answers})
    assert chat.found == "continued"
    chat.ask("and on")
    assert chat.found == "continued"


def test_a_question_is_answered_in_a_named_conversation_too(chat: ChatProgram) -> None:
    named = {"conversation_id": "named"}
    chat.ask("ask name", extra_body=named)
    chat.said.clear()
    assert '"value": "Ann"' in chat.ask("Ann", extra_body=named)


def test_a_question_is_told_in_a_stream_after_what_was_said(tmp_path: Path) -> None:
    (tmp_path / "yielding").mkdir()
    with Server(tmp_path / "yielding", target="tests.support.keepers:yielding") as server:
        chat = ChatProgram(client_of(server, openai))
        said = [{"role": "user", "content": "x"}]
        create = chat.client.chat.completions.create
        chunks = [*create(model="agent", messages=said, stream=True)]
        text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
        assert text.startswith("I will delete it.\n\n")
        assert text.endswith("Answer yes or no.")
        assert chunks[-1].requests[0]["kind"] == "approval"
        chat.said = [*said, {"role": "assistant", "content": text}]
        assert chat.ask("yes") == "deleted"


def test_a_question_and_its_answer_survive_a_kill(chat: ChatProgram, server: Server) -> None:
    chat.ask("ask name")
    server.kill()
    server.start()
    chat.client = client_of(server, openai)
    assert '"value": "Ann"' in chat.ask("Ann", extra_headers={"idempotency-key": "answer"})
    again = ChatProgram(chat.client, chat.said[:2])
    assert again.ask("Ann", extra_headers={"idempotency-key": "answer"}) == chat.said[-1]["content"]
    assert json.dumps(again.last["turnline"]["turn"]) == "2"

"""Responses without an id: which conversation goes on, and what a fork begins with."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.support.chat_program import ChatProgram, client_of
from tests.support.response_program import ReferringProgram, ResponseProgram, TextProgram
from tests.support.server import Server

openai: Any = pytest.importorskip("openai", reason="OpenAI's client is not installed")

KEEPERS = "tests.support.keepers"
KEY = "idempotency-key"
PROGRAMS = (ResponseProgram, TextProgram, ReferringProgram)


@pytest.fixture
def client(server: Server) -> Any:
    return client_of(server, openai)


@pytest.fixture(scope="module")
def careful(http: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with Server(tmp_path_factory.mktemp("careful"), target=f"{KEEPERS}:careful") as running:
        yield client_of(running, openai)


def ask(client: Any, message: str, **more: Any) -> Any:
    return client.responses.create(model="agent", input=message, **more)


def before(response: Any) -> int:
    return int(json.loads(response.output_text)["before"])


# All that was said, and no id.


@pytest.mark.parametrize("program", PROGRAMS)
def test_who_sends_all_that_was_said_goes_on(
    client: Any, server: Server, program: type[ResponseProgram]
) -> None:
    chat = program(client)
    assert [chat.before(text) for text in ("one", "two", "three")] == [0, 2, 4]
    assert chat.found == "continued"
    assert len(server.history(chat.conversation)) == 6


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_reply_of_many_items_is_one_reply(tmp_path: Path, program: type[ResponseProgram]) -> None:
    with Server(tmp_path, target=f"{KEEPERS}:working") as server:
        chat = program(client_of(server, openai))
        assert chat.ask("2") == "step 0. step 1. All seen."
        chat.ask("1")
        assert chat.found == "continued"


def test_a_stream_goes_on_in_the_same_one(client: Any) -> None:
    chat = TextProgram(client)
    chat.ask("streamed")
    sent = [*chat.said, {"role": "user", "content": "next"}]
    stream = client.responses.create(model="agent", input=sent, stream=True)
    assert stream.response.headers["conversation-found"] == "continued"
    *_, last = stream
    assert last.response.conversation.id == chat.conversation


def test_an_edited_past_begins_anew_with_it(client: Any, server: Server) -> None:
    chat = TextProgram(client)
    chat.ask("one")
    kept = chat.conversation
    chat.said[0] = {"role": "user", "content": "something else"}
    assert chat.before("two") == 2
    assert (chat.found, chat.conversation != kept) == ("given", True)
    assert server.history(chat.conversation)[0]["content"] == "something else"
    assert chat.before("three") == 4
    assert chat.found == "continued"


def test_a_past_that_was_gone_on_from_begins_anew(client: Any) -> None:
    chat = ReferringProgram(client)
    chat.ask("one, twice")
    again = ReferringProgram(client, [*chat.said])
    chat.ask("two")
    assert again.before("two, otherwise") == 2
    assert again.found == "given"


def test_an_agent_with_a_memory_of_its_own_is_not_given_a_past_and_that_is_told(
    tmp_path: Path,
) -> None:
    with Server(tmp_path, target=f"{KEEPERS}:Notebook") as server:
        chat = TextProgram(client_of(server, openai))
        chat.ask("one")
        chat.said[0] = {"role": "user", "content": "edited"}
        assert chat.ask("two") == "two"
        assert chat.found == "lost"


def test_a_chat_of_chat_completions_goes_on_here(client: Any) -> None:
    chat = ChatProgram(client)
    chat.ask("begun in a chat")
    here = TextProgram(client, [*chat.said])
    assert here.before("and on") == 2
    assert (here.found, here.conversation) == ("continued", chat.conversation)


def test_an_image_in_the_past_tells_two_chats_apart(tmp_path: Path) -> None:
    def look(data: str) -> dict[str, Any]:
        image = {"type": "input_image", "image_url": f"data:image/png;base64,{data}"}
        return {"role": "user", "content": [{"type": "input_text", "text": "look"}, image]}

    with Server(tmp_path, target=f"{KEEPERS}:parts_of") as server:
        chat = TextProgram(client_of(server, openai))
        chat.ask([look("aGVsbG8=")])
        other = TextProgram(chat.client, [look("d29ybGQ="), *chat.said[1:]])
        other.ask("and?")
        assert other.found == "lost"
        chat.ask("and?")
        assert chat.found == "continued"


def test_three_at_once_with_one_past_are_three_conversations(client: Any, server: Server) -> None:
    begun = TextProgram(client)
    begun.ask("together here")
    chats = [TextProgram(client, [*begun.said]) for _ in range(3)]
    with ThreadPoolExecutor() as pool:
        asked = [pool.submit(one.before, f"until past {n}") for n, one in enumerate(chats)]
        for n in range(3):
            server.until_called(f"until past {n}")
            server.let_on(f"past {n}")
        assert [one.result() for one in asked] == [2, 2, 2]
    assert sorted(one.found for one in chats) == ["continued", "given", "given"]


def test_the_same_key_is_one_turn_wherever_it_went(client: Any, server: Server) -> None:
    chat = TextProgram(client)
    for text in ("history keyed", "history keyed too"):
        again = TextProgram(client, [*chat.said])
        chat.ask(text, extra_headers={KEY: text})
        again.ask(text, extra_headers={KEY: text})
        assert (again.last.id, server.calls().count(f"began {text}")) == (chat.last.id, 1)


def test_the_past_of_another_caller_is_not_found(tmp_path: Path) -> None:
    with Server(tmp_path, server__tokens=["ann:a-token", "bob:b-token"]) as server:
        ann = ReferringProgram(client_of(server, openai, "a-token"))
        ann.ask("secret")
        bob = ReferringProgram(client_of(server, openai, "b-token"), [*ann.said])
        with pytest.raises(openai.UnprocessableEntityError, match="or it is not yours"):
            bob.ask("what was it?")
        text = {"role": "assistant", "content": ann.last.output_text}
        bob.said[1] = text
        assert bob.before("what was it?") == 2
        assert bob.found == "given"


def test_a_chat_goes_on_after_a_kill(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        chat = ReferringProgram(client_of(server, openai))
        chat.ask("one")
        server.kill()
        server.start()
        chat.client = client_of(server, openai)
        assert chat.before("two") == 2
    assert chat.found == "continued"


def test_a_named_conversation_is_sent_what_is_new_alone(client: Any) -> None:
    chat = TextProgram(client)
    chat.ask("one")
    with pytest.raises(openai.UnprocessableEntityError, match="send only what is new"):
        chat.ask("two", conversation=chat.conversation)


@pytest.mark.parametrize(
    "item",
    [
        {"role": "user", "content": "\ud800"},
        {"role": "assistant", "content": "\ud800"},
        {"role": "assistant", "content": [{"type": "output_audio"}]},
        {"type": "item_reference", "id": f"msg_{'0' * 32}_1_0"},
        {"type": "mcp_approval_request", "name": "x", "arguments": "{"},
    ],
    ids=str,
)
def test_a_past_that_cannot_be_is_refused(server: Server, item: Any) -> None:
    sent = {"input": [item, {"role": "user", "content": "hello"}]}
    answer = server.request("POST", "/v1/responses", sent)
    assert answer.status == 422, answer
    assert answer.json["error"]["param"].startswith("/input/0")


# What an agent asks of a person.


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_question_is_answered_by_the_next_message(
    careful: Any, program: type[ResponseProgram]
) -> None:
    chat = program(careful)
    assert chat.ask(f"ask name {program.__name__}") == f"name {program.__name__}?"
    assert '"value": "Ann"' in chat.ask("Ann")
    chat.ask("and on")
    assert chat.found == "continued"


def test_a_question_is_answered_after_its_response_and_under_one_key(careful: Any) -> None:
    asked = ask(careful, "ask Colour")
    more = {"previous_response_id": asked.id, "extra_headers": {KEY: "red"}}
    reply = ask(careful, "red", **more)
    assert '"value": "red"' in reply.output_text
    assert ask(careful, "red", **more).id == reply.id


def test_an_answer_by_text_may_name_the_conversation(careful: Any) -> None:
    ask(careful, "delete y", conversation="approved")
    assert '"approve": true' in ask(careful, "yes", conversation="approved").output_text


@pytest.mark.parametrize("program", [ResponseProgram, ReferringProgram])
def test_an_approval_among_all_that_was_said_is_given(
    careful: Any, program: type[ResponseProgram]
) -> None:
    chat = program(careful)
    chat.ask(f"delete {program.__name__}")
    answer = {"type": "mcp_approval_response", "approve": True}
    reply = chat.ask([answer | {"approval_request_id": chat.said[-1]["id"]}])
    assert '"approve": true' in reply
    chat.ask("and on")
    assert chat.found == "continued"


# What follows a response.


def test_what_follows_an_earlier_response_knows_nothing_of_the_later(
    client: Any, server: Server
) -> None:
    first = ask(client, "one")
    second = ask(client, "two", previous_response_id=first.id)
    third = ask(client, "three", previous_response_id=second.id)
    other = ask(client, "two, otherwise", previous_response_id=first.id)
    assert before(other) == 2
    assert other.conversation.id != first.conversation.id
    assert before(ask(client, "and on", previous_response_id=other.id)) == 4
    assert before(ask(client, "four", previous_response_id=third.id)) == 6
    said = [one["content"] for one in server.history(other.conversation.id)][::2]
    assert said == ["one", "two, otherwise", "and on"]


def test_an_agent_with_a_memory_of_its_own_is_not_led_back(tmp_path: Path) -> None:
    with Server(tmp_path, target=f"{KEEPERS}:Notebook") as server:
        client = client_of(server, openai)
        first = ask(client, "one")
        ask(client, "two", previous_response_id=first.id)
        with pytest.raises(openai.UnprocessableEntityError, match="has gone on"):
            ask(client, "other", previous_response_id=first.id)


def test_three_at_once_after_one_response_are_one_that_goes_on_and_two_forks(
    client: Any, server: Server
) -> None:
    first = ask(client, "first of four")
    with ThreadPoolExecutor() as pool:
        more = {"previous_response_id": first.id}
        asked = [pool.submit(ask, client, f"until after {n}", **more) for n in range(3)]
        for n in range(3):
            server.until_called(f"until after {n}")
        for n in range(3):
            server.let_on(f"after {n}")
        found = [one.result() for one in asked]
    assert [before(one) for one in found] == [2, 2, 2]
    went_on = [one for one in found if one.conversation.id == first.conversation.id]
    assert (len(went_on), len({one.conversation.id for one in found})) == (1, 3)


def test_what_follows_a_response_that_runs_waits_for_it_and_a_second_is_told_to(
    client: Any, server: Server
) -> None:
    first = ask(client, "until it ended", background=True)
    server.until_called("until it ended")
    with ThreadPoolExecutor() as pool:
        follows = pool.submit(ask, client, "follows", previous_response_id=first.id)
        server.until_depth(1)
        with pytest.raises(openai.ConflictError, match="has not ended") as told:
            ask(client, "second", previous_response_id=first.id)
        assert told.value.response.headers["x-should-retry"] == "true"
        patient = client.with_options(max_retries=9)
        second = pool.submit(ask, patient, "second", previous_response_id=first.id)
        server.let_on("it ended")
        assert [before(one.result()) for one in (follows, second)] == [2, 2]


def test_a_fork_under_a_key_is_one_turn(client: Any, server: Server) -> None:
    first = ask(client, "one")
    ask(client, "two", previous_response_id=first.id)
    more = {"previous_response_id": first.id, "extra_headers": {KEY: "fork"}}
    assert ask(client, "forked", **more).id == ask(client, "forked", **more).id
    assert server.calls().count("began forked") == 1


# What is known of a response.


def test_a_response_has_one_time_whoever_looks_and_whenever(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        client = client_of(server, openai)
        *_, last = ask(client, "hello", stream=True)
        made = client.responses.retrieve(last.response.id).created_at
        server.kill()
        server.start()
        found = client_of(server, openai).responses.retrieve(last.response.id)
    assert last.response.created_at == made == found.created_at


def test_what_a_response_answers_is_listed(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        first = ask(client_of(server, openai), "one")
        ask(client_of(server, openai), "two", previous_response_id=first.id)
        for _ in range(2):
            (item,) = client_of(server, openai).responses.input_items.list(first.id)
            assert (item.role, item.content[0].text) == ("user", "one")
            server.kill()
            server.start()


def test_images_are_listed_as_they_were_sent(tmp_path: Path) -> None:
    image = {"type": "input_image", "image_url": "data:image/png;base64,aGVsbG8="}
    with Server(tmp_path, target=f"{KEEPERS}:parts_of") as server:
        client = client_of(server, openai)
        sent: Any = [{"role": "user", "content": [image]}]
        (item,) = client.responses.input_items.list(ask(client, sent).id)
        assert item.content[0].image_url == image["image_url"]


def test_the_metadata_of_a_conversation_is_refused_and_not_lost(client: Any) -> None:
    conversation = client.conversations.create().id
    assert client.conversations.update(conversation, metadata={}).id == conversation
    with pytest.raises(openai.UnprocessableEntityError, match="Nothing is kept"):
        client.conversations.update(conversation, metadata={"a": "b"})

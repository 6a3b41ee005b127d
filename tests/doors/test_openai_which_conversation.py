"""Which conversation a chat program goes on with, that sends all that was said and no id."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.support.chat_program import ChatProgram, client_of
from tests.support.client import until
from tests.support.server import Server

openai: Any = pytest.importorskip("openai", reason="OpenAI's client is not installed")

KEY = "idempotency-key"


@pytest.fixture
def client(server: Server) -> Any:
    return client_of(server, openai)


@pytest.fixture
def chat(client: Any) -> ChatProgram:
    return ChatProgram(client)


def test_a_chat_is_one_conversation(chat: ChatProgram, server: Server) -> None:
    assert [chat.before(text) for text in ("one", "two", "three")] == [0, 2, 4]
    assert chat.found == "continued"
    assert server.history(chat.conversation) == chat.said


def test_a_stream_goes_on_in_the_same_one(client: Any, chat: ChatProgram) -> None:
    chat.ask("streamed")
    said = [*chat.said, {"role": "user", "content": "next"}]
    stream = client.chat.completions.create(model="agent", messages=said, stream=True)
    assert next(iter(stream)).turnline["conversation_id"] == chat.conversation
    assert stream.response.headers["conversation-found"] == "continued"
    stream.close()


def test_two_chats_of_the_same_words_stay_two(client: Any) -> None:
    one, two = ChatProgram(client), ChatProgram(client)
    for text in ("hello", "hello again", "and again"):
        assert one.before(text) == two.before(text)
        assert one.conversation != two.conversation


def test_chats_of_two_persons_never_meet(client: Any) -> None:
    one, two = ChatProgram(client), ChatProgram(client)
    for chat, user in ((one, "ann"), (two, "bob")):
        chat.ask("greetings", user=user)
    assert two.said[1]["content"] == '{"echo": "greetings", "before": 0}'
    assert two.before("who am I?", user="bob") == 2
    assert two.conversation != one.conversation


def test_a_chat_that_is_regenerated_begins_anew_from_the_past(
    chat: ChatProgram, server: Server
) -> None:
    chat.ask("one")
    before, kept = [*chat.said], chat.conversation
    chat.ask("two")
    again = ChatProgram(chat.client, before)
    assert again.before("two, otherwise") == 2
    assert (again.found, again.conversation != kept) == ("given", True)
    assert server.history(again.conversation) == again.said
    assert server.history(kept) == chat.said
    assert again.before("three") == 4
    assert again.found == "continued"


def test_an_edited_past_is_what_the_agent_sees(chat: ChatProgram) -> None:
    chat.ask("one")
    chat.said[0] = {"role": "user", "content": "something else"}
    assert chat.before("two") == 2
    assert chat.found == "given"


def test_a_past_from_elsewhere_is_what_the_agent_sees(client: Any, server: Server) -> None:
    greeting = {"role": "assistant", "content": "What can I do for you?"}
    chat = ChatProgram(client, [{"role": "system", "content": "Be kind."}, greeting])
    assert chat.before("help") == 2
    assert (chat.found, chat.before("more")) == ("given", 4)
    assert chat.found == "continued"
    kept = server.history(chat.conversation)
    assert kept[:2] == [{"role": "user", "content": ""}, greeting]


def test_an_agent_with_a_memory_of_its_own_is_not_given_a_past_and_that_is_told(
    tmp_path: Path,
) -> None:
    with Server(tmp_path, target="tests.support.keepers:Notebook") as server:
        chat = ChatProgram(client_of(server, openai))
        assert chat.ask("one") == "one"
        before = [*chat.said]
        assert chat.ask("two") == "one | two"
        again = ChatProgram(chat.client, before)
        assert again.ask("another two") == "another two"
        assert again.found == "lost"
        assert again.ask("three") == "another two | three"


def test_an_agent_that_is_one_conversation_answers_all_in_that(tmp_path: Path) -> None:
    with Server(tmp_path, target="tests.support.agents:counter") as server:
        for count in (1, 2):
            chat = ChatProgram(client_of(server, openai))
            assert json.loads(chat.ask("hello"))["count"] == count
    assert (chat.found, chat.conversation) == ("only", "default")


def test_three_at_once_from_the_same_past_are_three_conversations(
    chat: ChatProgram, server: Server
) -> None:
    chat.ask("together")
    chats = [ChatProgram(chat.client, [*chat.said]) for _ in range(3)]
    with ThreadPoolExecutor() as pool:
        asked = [pool.submit(one.before, f"until all {n}") for n, one in enumerate(chats)]
        for n in range(3):
            server.until_called(f"until all {n}")
            server.let_on(f"all {n}")
        assert [one.result() for one in asked] == [2, 2, 2]
    assert sorted(one.found for one in chats) == ["continued", "given", "given"]
    assert len({one.conversation for one in chats}) == 3


def test_a_message_whose_turn_failed_is_asked_with_the_next_one(
    chat: ChatProgram, server: Server
) -> None:
    chat.ask("one")
    with pytest.raises(openai.InternalServerError):
        chat.ask("hang", extra_headers={"turn-deadline-ms": "100"})
    chat.said.append({"role": "user", "content": "hang"})
    chat.ask("again")
    assert chat.found == "continued"
    assert server.history(chat.conversation)[2]["content"] == "hang\n\nagain"
    assert chat.before("and on") == 4


def test_a_failed_turn_leaves_no_conversation_with_the_past(client: Any, server: Server) -> None:
    chat = ChatProgram(
        client, [{"role": "user", "content": "u"}, {"role": "assistant", "content": "a"}]
    )
    shown = server.request("GET", "/conversations").json["total"]
    with pytest.raises(openai.InternalServerError):
        chat.ask("raise Exception")
    assert server.request("GET", "/conversations").json["total"] == shown
    assert chat.before("and now") == 2


def test_blanks_that_a_program_trims_do_not_make_it_another_chat(tmp_path: Path) -> None:
    with Server(tmp_path, target="tests.support.agents:pieces") as server:
        chat = ChatProgram(client_of(server, openai))
        assert chat.ask("two words") == "two words "
        chat.said[-1]["content"] = "two words"
        chat.ask("more")
    assert chat.found == "continued"


def test_a_conversation_that_went_on_through_another_door_is_left_alone(
    chat: ChatProgram, server: Server
) -> None:
    chat.ask("one of two doors")
    server.chat("meanwhile", chat.conversation)
    assert chat.before("two") == 2
    assert chat.found == "given"


def test_a_conversation_that_was_forgotten_begins_anew(chat: ChatProgram, server: Server) -> None:
    chat.ask("to be forgotten")
    server.request("DELETE", f"/conversations/{chat.conversation}")
    assert chat.before("two") == 2
    assert chat.found == "given"


def test_an_image_in_the_past_tells_two_chats_apart(tmp_path: Path) -> None:
    with Server(tmp_path, target="tests.support.keepers:parts_of") as server:
        chat = ChatProgram(client_of(server, openai))

        def image(data: str) -> Any:
            url = {"url": f"data:image/png;base64,{data}"}
            return [{"type": "text", "text": "look"}, {"type": "image_url", "image_url": url}]

        chat.ask(image("aGVsbG8="))
        other = ChatProgram(chat.client, [*chat.said])
        other.said[0] = {"role": "user", "content": image("d29ybGQ=")}
        other.ask("and?")
        assert other.found == "lost"
        chat.ask("and?")
        assert chat.found == "continued"


def test_two_callers_never_share_a_conversation(tmp_path: Path) -> None:
    with Server(tmp_path, server__tokens=["ann:a-token", "bob:b-token"]) as server:
        ann = ChatProgram(client_of(server, openai, "a-token"))
        ann.ask("one")
        bob = ChatProgram(client_of(server, openai, "b-token"), [*ann.said])
        assert bob.before("two") == 2
        assert (bob.found, bob.conversation != ann.conversation) == ("given", True)
        ann.ask("two")
        assert ann.found == "continued"


def test_a_chat_goes_on_after_a_kill(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        chat = ChatProgram(client_of(server, openai, max_retries=5))
        chat.ask("one")
        server.kill()
        server.start()
        chat.client = client_of(server, openai)
        assert chat.before("two") == 2
    assert chat.found == "continued"


def test_the_same_key_is_one_turn_wherever_it_went(chat: ChatProgram, server: Server) -> None:
    for text in ("keyed", "keyed too"):
        said, headers = [*chat.said], {KEY: text}
        chat.ask(text, extra_headers=headers)
        again = ChatProgram(chat.client, said)
        again.ask(text, extra_headers=headers)
        assert (again.found, again.last["id"]) == ("again", chat.last["id"])
        assert server.calls().count(f"began {text}") == 1


def test_the_same_key_at_once_is_one_turn(client: Any, server: Server) -> None:
    chats = [ChatProgram(client) for _ in range(3)]
    with ThreadPoolExecutor() as pool:
        asked = [
            pool.submit(one.before, "until keys", extra_headers={KEY: "at once"}) for one in chats
        ]
        server.until_called("until keys")
        server.let_on("keys")
        assert [one.result() for one in asked] == [0, 0, 0]
    assert len({one.last["id"] for one in chats}) == 1
    assert server.calls().count("began until keys") == 1


def test_the_same_key_for_another_message_is_refused(chat: ChatProgram) -> None:
    chat.ask("keyed once", extra_headers={KEY: "reused"})
    with pytest.raises(openai.UnprocessableEntityError, match="used for another message"):
        ChatProgram(chat.client).ask("other", extra_headers={KEY: "reused"})


def test_a_client_comes_back_after_a_kill_amid_a_stream_with_its_key(tmp_path: Path) -> None:
    with Server(tmp_path, target="tests.support.agents:counting_attempts") as server:
        past = [{"role": "user", "content": "u"}, {"role": "assistant", "content": "a"}]
        said = [*past, {"role": "user", "content": "hang-at-first"}]

        def stream() -> Any:
            completions = client_of(server, openai).chat.completions
            more: Any = {"stream": True, "extra_headers": {KEY: "killed"}}
            return iter(completions.create(model="agent", messages=said, **more))

        first = next(opened := stream())
        turn_id = first.turnline["turn_id"]
        until(lambda: bool(server.calls()), "the agent is called")
        server.kill()
        with pytest.raises(openai.APIConnectionError):
            list(opened)
        server.start()
        chunks = list(stream())
        text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
        assert json.loads(text) == {"echo": "hang-at-first", "attempt": 2, "before": 2}
        assert chunks[0].turnline["turn_id"] == turn_id
        assert len(server.history(first.turnline["conversation_id"])) == 4

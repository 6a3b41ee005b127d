"""OpenAI's official client at `/v1/responses` and `/v1/conversations`, over a real server."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.support.client import until
from tests.support.server import Knobs, Server

openai = pytest.importorskip("openai")

KEEPERS = "tests.support.keepers"
TELLER = "tests.support.agents:teller"
PNG = "iVBORw0KGgo="
OPENED: list[Any] = []


def client_of(server: Server, key: str = "none", retries: int = 2) -> Any:
    base_url = f"http://127.0.0.1:{server.port}/v1"
    opened = openai.OpenAI(base_url=base_url, api_key=key, max_retries=retries, timeout=30.0)
    OPENED.append(opened)
    return opened


@pytest.fixture(scope="module", autouse=True)
def closed() -> Iterator[None]:
    """All clients, in the end: a connection that is left open is a warning in another test."""
    yield
    while OPENED:
        OPENED.pop().close()


@pytest.fixture(scope="module")
def client(server: Server) -> Any:
    return client_of(server)


@pytest.fixture(scope="module")
def working(http: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with Server(tmp_path_factory.mktemp("working"), target=f"{KEEPERS}:working") as running:
        yield client_of(running)


@pytest.fixture(scope="module")
def careful(http: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with Server(tmp_path_factory.mktemp("careful"), target=f"{KEEPERS}:careful") as running:
        yield client_of(running)


def ask(client: Any, message: object, **more: Any) -> Any:
    return client.responses.create(model="any", input=message, **more)


def echoed(response: Any) -> tuple[str, int]:
    """What the agent was asked, and how many messages were before that."""
    assert response.status == "completed", response
    said = json.loads(response.output_text)
    return said["echo"], said["before"]


def background(client: Any, message: str, **more: Any) -> Any:
    return ask(client, message, background=True, **more)


def texts(events: list[Any]) -> str:
    return "".join(one.delta for one in events if one.type == "response.output_text.delta")


def numbers(events: list[Any]) -> list[int]:
    return [one.sequence_number for one in events]


def resumed(client: Any, response: str, after: int) -> list[Any]:
    return list(client.responses.retrieve(response, stream=True, starting_after=after))


# Replies.


def test_a_text_is_answered_with_a_response(client: Any) -> None:
    response = ask(client, "hello")
    assert echoed(response) == ("hello", 0)
    assert (response.object, response.error) == ("response", None)
    assert client.responses.retrieve(response.id).output_text == response.output_text


def test_a_response_without_a_conversation_begins_a_new_one(client: Any) -> None:
    first, second = ask(client, "hello"), ask(client, "hello")
    assert echoed(second) == ("hello", 0)
    assert first.conversation.id != second.conversation.id


def test_the_previous_response_says_which_conversation_goes_on(client: Any) -> None:
    first = ask(client, "one")
    second = ask(client, "two", previous_response_id=first.id)
    third = ask(client, "three", previous_response_id=second.id)
    assert [echoed(second), echoed(third)] == [("two", 2), ("three", 4)]


def test_several_turns_are_in_one_conversation(client: Any) -> None:
    conversation = client.conversations.create()
    replies = [ask(client, one, conversation=conversation.id) for one in ("a", "b", "c")]
    assert [echoed(one) for one in replies] == [("a", 0), ("b", 2), ("c", 4)]
    assert {one.conversation.id for one in replies} == {conversation.id}


def test_a_message_may_be_an_item_with_parts(client: Any) -> None:
    parts = [{"type": "input_text", "text": "hello"}]
    assert echoed(ask(client, [{"role": "user", "content": parts}])) == ("hello", 0)


def test_a_conversation_of_chat_goes_on_here(server: Server, client: Any) -> None:
    server.chat("hello", "both")
    assert echoed(ask(client, "again", conversation="both")) == ("again", 2)


def test_an_agent_that_is_one_object_has_one_conversation(folder: Path) -> None:
    with Server(folder, target="tests.support.agents:counter") as server:
        client = client_of(server)
        counts = [json.loads(ask(client, "hi").output_text)["count"] for _ in range(2)]
        assert counts == [1, 2]
        with pytest.raises(openai.UnprocessableEntityError, match="one conversation"):
            ask(client, "hi", conversation="other")


def test_metadata_reaches_the_agent_and_comes_back(folder: Path) -> None:
    with Server(folder, target=f"{KEEPERS}:aware") as server:
        response = ask(client_of(server), "hello", metadata={"a": "b"})
        assert json.loads(response.output_text)["metadata"] == {"a": "b"}
        assert response.metadata == {"a": "b"}


def test_images_and_files_reach_an_agent_that_takes_them(folder: Path) -> None:
    parts: list[Any] = [
        {"type": "input_text", "text": "see"},
        {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}"},
        {"type": "input_image", "image_url": "https://example.org/a.png"},
        {"type": "input_file", "filename": "a.txt", "file_data": "data:text/plain;base64,YQ=="},
    ]
    with Server(folder, target=f"{KEEPERS}:parts_of") as server:
        response = ask(client_of(server), [{"role": "user", "content": parts}])
        assert json.loads(response.output_text)["parts"] == [
            {"type": "text", "text": "see"},
            {"type": "image", "media_type": "image/png", "data": PNG},
            {"type": "image", "url": "https://example.org/a.png"},
            {"type": "file", "name": "a.txt", "media_type": "text/plain", "data": "YQ=="},
        ]


def test_what_an_agent_tells_are_items_and_usage(working: Any) -> None:
    response = ask(working, "1")
    kinds = [one.type for one in response.output]
    assert kinds == ["reasoning", "message", "mcp_call", "message"]
    call = response.output[2]
    assert (call.name, json.loads(call.arguments)) == ("look", {"at": 0})
    assert json.loads(call.output) == {"seen": 0}
    assert response.output_text == "step 0. All seen."
    assert (response.usage.input_tokens, response.usage.output_tokens) == (12, 3)


def test_what_an_agent_has_of_its_own_is_ignored_with_a_word(client: Any) -> None:
    system = {"role": "system", "content": "Be brief."}
    raw = client.responses.with_raw_response.create(
        model="any", input=[system, {"role": "user", "content": "hi"}], instructions="Be kind."
    )
    assert raw.headers["turnline-ignored"] == "instructions, system"
    assert echoed(raw.parse()) == ("hi", 0)


# Streams.


def test_a_stream_has_the_events_of_a_response(client: Any) -> None:
    events = list(ask(client, "hello", stream=True))
    assert [one.type.removeprefix("response.") for one in events] == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    assert numbers(events) == sorted(set(numbers(events)))
    assert texts(events) == events[-1].response.output_text
    assert (events[0].response.status, events[0].response.output) == ("in_progress", [])


def test_the_helper_of_streams_has_the_final_response(working: Any) -> None:
    with working.responses.stream(model="any", input="2") as stream:
        said = "".join(one.delta for one in stream if one.type == "response.output_text.delta")
        final = stream.get_final_response()
    assert said == final.output_text == "step 0. step 1. All seen."
    assert [one.type for one in final.output].count("mcp_call") == 2


def test_a_streamed_response_is_continued_as_any_other(client: Any) -> None:
    *_, last = ask(client, "one", stream=True)
    assert echoed(ask(client, "two", previous_response_id=last.response.id)) == ("two", 2)


def test_a_stream_is_resumed_after_each_of_its_events(working: Any) -> None:
    events = list(ask(working, "2", stream=True))
    for place, one in enumerate(events):
        rest = resumed(working, events[-1].response.id, one.sequence_number)
        assert [e.to_dict() for e in rest] == [e.to_dict() for e in events[place + 1 :]]


def test_a_text_is_resumed_within_a_piece(client: Any) -> None:
    events = list(ask(client, "hello", stream=True))
    delta = next(one for one in events if one.type == "response.output_text.delta")
    rest = resumed(client, events[-1].response.id, delta.sequence_number - 3)
    assert texts(rest) == delta.delta[-3:]


def test_a_stream_that_waits_tells_its_place(server: Server, client: Any) -> None:
    first = background(client, "until waits", conversation="waits")
    second = background(client, "next", conversation="waits", stream=True)
    queued = next(one for one in second if one.type == "response.queued")
    assert queued.response.status == "queued"
    assert queued.response.place_in_line["position"] == 1
    server.let_on("waits")
    *_, last = second
    assert echoed(last.response) == ("next", 2)
    assert client.responses.retrieve(first.id).status == "completed"


# Order, refusals, failures.


def test_three_at_once_are_answered_in_order_and_with_their_context(
    server: Server, client: Any
) -> None:
    with ThreadPoolExecutor() as pool:
        replies = [pool.submit(ask, client, "until three", conversation="three")]
        server.until_called("until three")
        for depth, message in enumerate(("second", "third"), 1):
            replies.append(pool.submit(ask, client, message, conversation="three"))
            server.until_depth(depth)
        server.let_on("three")
        found = [echoed(one.result()) for one in replies]
    assert found == [("until three", 0), ("second", 2), ("third", 4)]


def test_a_busy_conversation_is_a_conflict_until_the_client_tries_again(folder: Path) -> None:
    with Server(folder, strategy__name="reject") as server:
        first = background(client_of(server), "until busy", conversation="c")
        server.until_called("until busy")
        with pytest.raises(openai.ConflictError, match="A turn of this conversation is running"):
            ask(client_of(server, retries=0), "refused", conversation="c")
        with ThreadPoolExecutor() as pool:
            later = pool.submit(ask, client_of(server), "later", conversation="c")
            until(lambda: server.health()["turns"]["refused_at_once"] >= 2, "it is refused too")
            server.let_on("busy")
            assert echoed(later.result()) == ("later", 2)
        assert client_of(server).responses.retrieve(first.id).status == "completed"


def test_a_full_line_is_a_rate_limit_and_says_when_to_come_again(folder: Path) -> None:
    with Server(folder, strategy__max_waiting_per_conversation=1) as server:
        client = client_of(server, retries=0)
        background(client, "until full", conversation="c")
        server.until_called("until full")
        background(client, "waits", conversation="c")
        with pytest.raises(openai.RateLimitError, match="The line") as caught:
            ask(client, "refused", conversation="c", stream=True)
        assert float(caught.value.response.headers["retry-after-ms"]) > 0
        assert caught.value.response.headers["x-should-retry"] == "true"


def test_a_turn_that_waits_too_long_in_a_stream_fails_in_words(folder: Path) -> None:
    limits: Knobs = {"strategy__max_wait_s": 0.3, "server__stream_comment_s": 0.1}
    with Server(folder, **limits) as server:
        client = client_of(server)
        background(client, "until waited", conversation="c")
        server.until_called("until waited")
        *_, last = ask(client, "late", conversation="c", stream=True)
        assert last.type == "response.failed"
        assert last.response.error.code == "rate_limit_exceeded"
        assert "could not start in time" in last.response.error.message
        assert "began late" not in server.calls()


def test_a_stream_whose_turn_never_began_is_a_refusal(folder: Path) -> None:
    with Server(folder, strategy__max_wait_s=0.3) as server:
        client = client_of(server, retries=0)
        background(client, "until waited", conversation="c")
        server.until_called("until waited")
        with pytest.raises(openai.InternalServerError, match="could not start in time") as caught:
            ask(client, "late", conversation="c", stream=True)
        assert caught.value.status_code == 503
        assert caught.value.response.headers["x-should-retry"] == "true"


def test_a_full_server_is_an_error_of_the_server(folder: Path) -> None:
    with Server(folder, strategy__max_running=1, strategy__max_waiting=1) as server:
        client = client_of(server, retries=0)
        background(client, "until full")
        server.until_called("until full")
        background(client, "waits")
        with pytest.raises(openai.InternalServerError) as caught:
            ask(client, "refused")
        assert caught.value.status_code == 503
        assert caught.value.code == "server-full"


def test_a_failed_turn_is_told_in_words_and_not_run_again(server: Server, client: Any) -> None:
    with pytest.raises(openai.InternalServerError, match="The agent failed") as caught:
        ask(client, "raise Exception", conversation="fails")
    assert caught.value.status_code == 502
    assert server.calls().count("began raise Exception") == 1
    assert echoed(ask(client, "next", conversation="fails")) == ("next", 0)


def test_a_failure_in_a_stream_is_its_last_event(client: Any) -> None:
    *_, last = ask(client, "raise Exception", stream=True)
    assert (last.type, last.response.status) == ("response.failed", "failed")
    assert "The agent failed" in last.response.error.message


def test_a_turn_that_a_newer_one_stops_fails_and_the_newer_is_answered(folder: Path) -> None:
    with Server(folder, strategy__name="interrupt") as server:
        client = client_of(server)
        stream = ask(client, "hang old", conversation="c", stream=True)
        server.until_called("hang old")
        assert echoed(ask(client, "new", conversation="c")) == ("new", 0)
        *_, last = stream
        assert (last.type, last.response.status) == ("response.failed", "failed")
        assert "interrupted" in last.response.error.message


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ("", "input"),
        ([], "input"),
        ([{"role": "assistant", "content": "I said"}], "no question"),
        ([{"type": "item_reference", "id": "msg_1"}], "no item of this id"),
        ([{"type": "function_call_output", "call_id": "c", "output": "x"}], "own tools"),
        ([{"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}], "no files"),
        (
            [{"role": "user", "content": [{"type": "input_image", "image_url": "https://a.b/c"}]}],
            "takes no images",
        ),
    ],
)
def test_what_would_be_lost_is_refused_with_words(client: Any, message: Any, words: str) -> None:
    with pytest.raises(openai.UnprocessableEntityError, match=words) as caught:
        ask(client, message)
    assert caught.value.param.startswith("/input")


def test_who_asks_again_under_a_key_is_given_the_same_response(client: Any) -> None:
    def once() -> Any:
        return ask(client, "once", extra_headers={"idempotency-key": "k1"})

    def then() -> Any:
        headers = {"idempotency-key": "k2"}
        return ask(client, "then", previous_response_id=first.id, extra_headers=headers)

    first = once()
    assert once().id == first.id
    assert then().id == then().id
    assert once().id == first.id


# In the background.


def test_a_response_in_the_background_is_there_when_it_has_ended(
    server: Server, client: Any
) -> None:
    response = background(client, "until later")
    assert response.status in ("queued", "in_progress")
    server.until_called("until later")
    assert client.responses.retrieve(response.id).status == "in_progress"
    server.let_on("later")
    until(lambda: client.responses.retrieve(response.id).status == "completed", "it completes")
    assert echoed(client.responses.retrieve(response.id)) == ("until later", 0)


def test_a_response_is_cancelled(server: Server, client: Any) -> None:
    response = background(client, "hang cancelled", conversation="cancel")
    server.until_called("hang cancelled")
    waiting = background(client, "waits", conversation="cancel")
    assert client.responses.cancel(waiting.id).status == "cancelled"
    assert client.responses.cancel(response.id).status == "cancelled"
    assert client.responses.retrieve(response.id).status == "cancelled"
    assert echoed(ask(client, "next", previous_response_id=response.id)) == ("next", 0)


def test_the_stream_of_a_response_that_is_cancelled_ends(server: Server, client: Any) -> None:
    stream = background(client, "hang stream", stream=True)
    created = next(iter(stream))
    server.until_called("hang stream")
    client.responses.cancel(created.response.id)
    *_, last = stream
    assert (last.type, last.response.status) == ("response.failed", "cancelled")


def test_a_stream_is_resumed_after_a_cut(folder: Path) -> None:
    with Server(folder, target=TELLER) as server:
        client = client_of(server)
        seen: list[Any] = []
        with background(client, "9 0.02 until cut", stream=True) as stream:
            for event in stream:
                seen.append(event)
                if len([one for one in seen if one.type.endswith("text.delta")]) == 3:
                    break
        server.let_on("cut")
        seen += resumed(client, seen[0].response.id, seen[-1].sequence_number)
    assert numbers(seen) == sorted(set(numbers(seen)))
    assert texts(seen) == seen[-1].response.output_text


def test_a_stream_goes_on_after_a_kill_with_the_next_attempt(folder: Path) -> None:
    with Server(folder, target=TELLER, store__url="sqlite:///x.db") as server:
        client = client_of(server)
        message = "3 0.01 until restarted"
        seen: list[Any] = []
        with suppress(openai.APIConnectionError):  # The stream is cut.
            for event in background(client, message, stream=True):
                seen.append(event)
                if texts(seen).count("piece") == 3:
                    server.kill()
        server.start()
        server.let_on("restarted")
        rest = resumed(client_of(server), seen[0].response.id, seen[-1].sequence_number)
    assert numbers(seen + rest) == sorted(set(numbers(seen + rest)))
    assert texts(rest) == rest[-1].response.output_text == "piece 0, piece 1, piece 2, "
    assert rest[-1].response.attempt == 2


def test_a_response_that_a_shutdown_puts_off_has_not_ended(folder: Path) -> None:
    with Server(folder, server__drain_s=0.1) as server:
        client = client_of(server)
        stream = iter(background(client, "until later", stream=True))
        first = next(stream)
        server.until_called("until later")
        server.signal(signal.SIGTERM)
        seen = [first, *stream]
        server.wait()
        server.start()
        server.let_on("later")
        rest = resumed(client, first.response.id, seen[-1].sequence_number)
    assert seen[-1].type == "response.in_progress"
    assert rest[-1].type == "response.completed"


def test_what_a_restart_has_lost_of_a_stream_is_told_again_and_not_left_out(folder: Path) -> None:
    target = f"{KEEPERS}:working"
    with Server(folder, target=target, store__url="sqlite:///x.db") as server:
        events = list(background(client_of(server), "1", stream=True))
        text = next(one for one in events if one.type == "response.output_text.delta")
        server.kill()
        server.start()
        client = client_of(server)
        rest = resumed(client, events[-1].response.id, text.sequence_number)
        assert texts(rest) == "step 0. All seen."
        assert numbers(rest) == sorted(set(numbers(rest)))
        assert rest[0].sequence_number > events[-1].sequence_number
        assert client.responses.retrieve(events[-1].response.id).output_text == texts(events)


def test_a_plain_text_is_resumed_to_the_letter_after_a_restart(folder: Path) -> None:
    with Server(folder, store__url="sqlite:///x.db") as server:
        events = list(background(client_of(server), "hello", stream=True))
        text = next(one for one in events if one.type == "response.output_text.delta")
        server.kill()
        server.start()
        found = resumed(client_of(server), events[-1].response.id, text.sequence_number - 4)
        assert texts(found) == text.delta[-4:]
        assert found[-1].sequence_number == events[-1].sequence_number


# What an agent needs a person for.


def test_a_tool_is_approved_by_the_client(careful: Any) -> None:
    asked = ask(careful, "delete x")
    said, request = asked.output
    assert said.content[0].text == "Delete x?"
    assert (request.type, request.name) == ("mcp_approval_request", "delete")
    assert json.loads(request.arguments) == {"path": "x"}
    answer = {"type": "mcp_approval_response", "approve": True}
    answers = [answer | {"approval_request_id": request.id}]
    reply = ask(careful, answers, previous_response_id=asked.id)
    assert '"approve": true' in reply.output_text


def test_a_tool_is_denied_with_a_reason_in_a_stream(careful: Any) -> None:
    *_, last = ask(careful, "delete x", stream=True)
    _, request = last.response.output
    answer = {"type": "mcp_approval_response", "approve": False, "reason": "too old"}
    *_, last = ask(
        careful,
        [answer | {"approval_request_id": request.id}],
        conversation=last.response.conversation.id,
        stream=True,
    )
    assert '"reason": "too old"' in last.response.output_text


def test_a_question_is_said_and_answered_by_resume(careful: Any) -> None:
    asked = ask(careful, "ask Colour")
    assert asked.output_text == "Colour?"
    assert [one["id"] for one in asked.requests] == ["Colour"]
    resume = {"Colour": {"approve": True, "value": "red"}}
    more = {"previous_response_id": asked.id, "extra_body": {"resume": resume}}
    assert '"value": "red"' in careful.responses.create(model="any", **more).output_text


def test_a_plain_message_meanwhile_is_a_conflict_and_not_sent_again(careful: Any) -> None:
    asked = ask(careful, "delete x")
    with pytest.raises(openai.ConflictError, match="waits for answers") as caught:
        ask(careful, "hello", previous_response_id=asked.id)
    assert caught.value.response.headers["x-should-retry"] == "false"


# Conversations.


def test_a_conversation_is_known_before_anything_was_said(client: Any) -> None:
    conversation = client.conversations.create()
    found = client.conversations.retrieve(conversation.id)
    assert (found.id, found.created_at) == (conversation.id, conversation.created_at)
    assert list(client.conversations.items.list(conversation.id)) == []


def test_the_messages_of_a_conversation_are_listed_by_pages(client: Any) -> None:
    conversation = client.conversations.create().id
    for number in range(5):
        ask(client, f"message {number}", conversation=conversation)
    page = client.conversations.items.list(conversation, limit=4)
    assert (len(page.data), page.has_more) == (4, True)
    newest = list(client.conversations.items.list(conversation, limit=4))
    oldest = list(client.conversations.items.list(conversation, limit=3, order="asc"))
    assert [one.id for one in oldest] == [one.id for one in reversed(newest)]
    assert [one.role for one in oldest] == ["user", "assistant"] * 5
    assert [one.content[0].text for one in oldest[::2]] == [f"message {n}" for n in range(5)]


def test_a_conversation_is_deleted(client: Any) -> None:
    conversation = client.conversations.create().id
    response = ask(client, "hello", conversation=conversation)
    assert client.conversations.delete(conversation).deleted is True
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(response.id)
    assert echoed(ask(client, "again", conversation=conversation)) == ("again", 0)


def test_a_busy_conversation_is_not_deleted(server: Server, client: Any) -> None:
    background(client, "until deleted", conversation="deleted")
    server.until_called("until deleted")
    with pytest.raises(openai.ConflictError):
        client_of(server, retries=0).conversations.delete("deleted")
    server.let_on("deleted")


def test_a_response_is_deleted_where_it_is_the_whole_conversation(client: Any) -> None:
    response = ask(client, "hello")
    client.responses.delete(response.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(response.id)
    first = ask(client, "one")
    ask(client, "two", previous_response_id=first.id)
    with pytest.raises(openai.UnprocessableEntityError, match="Delete the conversation"):
        client.responses.delete(first.id)


# Callers.


@pytest.fixture(scope="module")
def guarded(http: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    tokens = ["ann:a-token", "bob:b-token"]
    with Server(tmp_path_factory.mktemp("guarded"), server__tokens=tokens) as running:
        yield running


def test_a_wrong_key_is_an_error_of_authentication(guarded: Server) -> None:
    with pytest.raises(openai.AuthenticationError, match="token"):
        ask(client_of(guarded, "wrong"), "hello")


@pytest.mark.parametrize(
    "call",
    [
        lambda bob, one: bob.responses.retrieve(one.id),
        lambda bob, one: bob.responses.retrieve(one.id, stream=True),
        lambda bob, one: bob.responses.cancel(one.id),
        lambda bob, one: bob.responses.delete(one.id),
        lambda bob, one: ask(bob, "hello", previous_response_id=one.id),
        lambda bob, one: bob.conversations.retrieve("ours"),
        lambda bob, one: bob.conversations.delete("ours"),
        lambda bob, one: bob.conversations.items.list("ours"),
    ],
)
def test_another_callers_response_is_as_if_it_were_not_there(
    guarded: Server, call: Callable[[Any, Any], object]
) -> None:
    one = ask(client_of(guarded, "a-token"), "secret", conversation="ours")
    with pytest.raises(openai.NotFoundError):
        call(client_of(guarded, "b-token"), one)


def test_two_callers_have_conversations_of_one_name(guarded: Server) -> None:
    for key in ("a-token", "b-token"):
        assert echoed(ask(client_of(guarded, key), "hi", conversation="shared")) == ("hi", 0)


def test_the_same_key_of_two_callers_are_two_turns(guarded: Server) -> None:
    headers = {"idempotency-key": "same"}
    asked = (
        ask(client_of(guarded, key), "hi", extra_headers=headers) for key in ("a-token", "b-token")
    )
    assert len({one.id for one in asked}) == 2


def test_items_keep_their_ids_where_the_first_turns_are_not_kept_any_more(folder: Path) -> None:
    with Server(folder, store__url="memory:", store__memory_turns=2) as server:
        client = client_of(server)
        for text in ("a", "b", "c", "d"):
            ask(client, text, conversation="long")
        listed = client.conversations.items.list("long", order="asc", limit=3)
        assert [item.id for item in listed.data] == ["msg_5", "msg_6", "msg_7"]
        assert listed.data[0].content[0].text == "c"
        latest = client.conversations.items.list("long", limit=2)
        assert [item.id for item in latest.data] == ["msg_8", "msg_7"]

"""OpenAI's client and its chat completions: a turn as the answer of a model."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.support.chat_program import ChatProgram, client_of
from tests.support.server import Knobs, Server

openai: Any = pytest.importorskip("openai", reason="OpenAI's client is not installed")


@pytest.fixture
def client(server: Server) -> Any:
    return client_of(server, openai)


def create(client: Any, text: Any, conversation: str | None = None, **more: Any) -> Any:
    body = {"conversation_id": conversation} if conversation else {}
    messages = [{"role": "user", "content": text}]
    extra = {**body, **more.pop("extra_body", {})}
    completions = client.chat.completions
    return completions.create(model="agent", messages=messages, extra_body=extra, **more)


def text_of(stream: Any) -> str:
    return "".join(c.choices[0].delta.content or "" for c in stream if c.choices)


def test_the_agent_is_the_one_model(client: Any) -> None:
    (model,) = client.models.list().data
    assert client.models.retrieve(model.id) == model
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("gpt-4")


def test_a_message_is_answered(client: Any) -> None:
    answer = create(client, "hello")
    assert json.loads(answer.choices[0].message.content) == {"echo": "hello", "before": 0}
    assert (answer.choices[0].finish_reason, answer.object) == ("stop", "chat.completion")


def test_whatever_model_is_asked_for_the_agent_answers_by_its_name(client: Any) -> None:
    messages = [{"role": "user", "content": "hello"}]
    assert client.chat.completions.create(model="gpt-4", messages=messages).model == "agent"


def test_a_stream_is_the_same_in_pieces(tmp_path: Path) -> None:
    with Server(tmp_path, target="tests.support.agents:teller") as server:
        chunks = [*create(client_of(server, openai), "3 0.01", stream=True)]
    deltas = [chunk.choices[0].delta.content for chunk in chunks]
    assert "".join(text for text in deltas if text) == "piece 0, piece 1, piece 2, "
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [chunk.choices[0].finish_reason for chunk in chunks[-2:]] == [None, "stop"]
    assert len({chunk.id for chunk in chunks}) == 1


def test_the_clients_own_helper_reads_the_stream(client: Any) -> None:
    messages = [{"role": "user", "content": "hello"}]
    with client.chat.completions.stream(model="agent", messages=messages) as stream:
        final = stream.get_final_completion()
    assert json.loads(final.choices[0].message.content)["echo"] == "hello"


def test_tokens_and_thoughts_are_told(tmp_path: Path) -> None:
    with Server(tmp_path, target="tests.support.keepers:working") as server:
        client = client_of(server, openai)
        options = {"include_usage": True}
        chunks = [*create(client, "2", stream=True, stream_options=options)]
        whole = create(client, "2")
    assert chunks[-1].choices == []
    assert chunks[-1].usage.total_tokens == whole.usage.total_tokens == 18
    thoughts = [getattr(c.choices[0].delta, "reasoning_content", None) for c in chunks[:-1]]
    assert "I had better look." in thoughts
    assert whole.choices[0].message.reasoning_content == "I had better look."


def test_a_named_conversation_needs_only_the_new_message(client: Any) -> None:
    replies = [create(client, text, "named").choices[0].message.content for text in ("a", "b")]
    assert [json.loads(reply)["before"] for reply in replies] == [0, 2]


def test_of_a_named_conversation_the_clients_past_does_not_count(client: Any) -> None:
    chat = ChatProgram(client, [{"role": "assistant", "content": "never said"}])
    assert chat.before("hello", extra_body={"conversation_id": "own-past"}) == 0
    assert chat.found == "named"


def test_three_at_once_in_a_named_conversation_run_in_order(client: Any, server: Server) -> None:
    with ThreadPoolExecutor() as pool:
        first = pool.submit(create, client, "until three", "three")
        server.until_called("until three")
        others = []
        for depth, text in enumerate(("second", "third"), 1):
            others.append(pool.submit(create, client, text, "three"))
            server.until_depth(depth)
        server.let_on("three")
        replies = [one.result().choices[0].message.content for one in (first, *others)]
    assert [json.loads(reply)["before"] for reply in replies] == [0, 2, 4]


def test_a_conversation_may_go_on_through_another_door(client: Any, server: Server) -> None:
    create(client, "hello", "both")
    assert server.chat("and here", "both").json["turn"] == 2


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("n", 2),
        ("modalities", ["text", "audio"]),
        ("modalities", 7),
        ("metadata", {"a": 1}),
        ("metadata", [7]),
        ("tool_choice", "required"),
        ("stream", "yes"),
        ("messages", []),
        ("messages", [{"role": "assistant", "content": "me"}]),
        ("messages", [{"role": "tool", "content": "4", "tool_call_id": "c"}]),
        ("messages", [{"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}]),
        ("messages", [{"role": "user", "content": ""}]),
        ("messages", [{"role": "user", "content": 7}]),
        ("messages", ["hello"]),
        ("messages", [{"role": "user", "content": [{"type": "file", "file": {"file_id": "f"}}]}]),
        ("messages", [{"role": "user", "content": [{"type": ["text"]}]}]),
        ("messages", {"role": "user"}),
        ("resume", {"r1": {"approve": 1}}),
        ("resume", []),
        ("conversation_id", "not one"),
        ("user", 7),
    ],
)
def test_what_would_be_lost_is_refused(server: Server, field: str, value: object) -> None:
    body = {"model": "agent", "messages": [{"role": "user", "content": "hello"}], field: value}
    answer = server.request("POST", "/v1/chat/completions", body)
    assert answer.status == 422, answer
    assert answer.json["error"]["param"].startswith(f"/{field}")
    assert answer.headers["x-should-retry"] == "false"


def test_half_a_character_in_the_past_is_refused(server: Server) -> None:
    body = (
        b'{"messages": [{"role": "user", "content": "\\ud800"}, {"role": "user", "content": "x"}]}'
    )
    answer = server.request("POST", "/v1/chat/completions", body)
    assert (answer.status, answer.json["error"]["param"]) == (422, "/messages/0/content")


def test_half_a_character_in_a_files_type_is_refused(server: Server) -> None:
    data = b'{"type": "file", "file": {"file_data": "data:\\ud800;base64,aGVsbG8="}}'
    body = b'{"messages": [{"role": "user", "content": [%b]}]}' % data
    assert server.request("POST", "/v1/chat/completions", body).status == 422


def test_an_image_is_refused_in_words_by_an_agent_that_takes_none(client: Any) -> None:
    part = {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGVsbG8="}}
    with pytest.raises(openai.UnprocessableEntityError, match="takes no images"):
        create(client, [{"type": "text", "text": "look"}, part])


def test_an_image_and_a_file_reach_an_agent_that_takes_them(tmp_path: Path) -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGVsbG8="}}
    file = {"filename": "a.txt", "file_data": "data:text/plain;base64,aGVsbG8="}
    with Server(tmp_path, target="tests.support.keepers:parts_of") as server:
        answer = create(client_of(server, openai), [image, {"type": "file", "file": file}])
    kinds = [part["type"] for part in json.loads(answer.choices[0].message.content)["parts"]]
    assert kinds == ["image", "file"]


def test_what_is_not_heeded_is_told(client: Any) -> None:
    tool = {"type": "function", "function": {"name": "f", "parameters": {}}}
    said = [{"role": "system", "content": "Rhyme."}, {"role": "user", "content": "hello"}]
    answer = client.chat.completions.create(
        model="agent", messages=said, tools=[tool], temperature=0.1, extra_body={"whatever": 1}
    )
    assert answer.turnline["ignored"] == ["system", "tools", "temperature"]


def test_a_full_line_is_a_rate_limit_that_the_client_waits_out_by_itself(tmp_path: Path) -> None:
    limits: Knobs = {"strategy__max_waiting_per_conversation": 1}
    with Server(tmp_path, **limits) as server, ThreadPoolExecutor() as pool:
        client = client_of(server, openai)
        pool.submit(create, client, "until full", "full")
        server.until_called("until full")
        pool.submit(create, client, "waits", "full")
        server.until_depth(1)
        with pytest.raises(
            openai.RateLimitError, match="line of this conversation is full"
        ) as told:
            create(client, "refused", "full")
        assert float(told.value.response.headers["retry-after-ms"]) > 0
        patient = pool.submit(create, client.with_options(max_retries=9), "patient", "full")
        server.let_on("full")
        assert json.loads(patient.result().choices[0].message.content)["before"] == 4


def test_a_busy_conversation_is_a_conflict_where_the_strategy_rejects(tmp_path: Path) -> None:
    with Server(tmp_path, strategy__name="reject") as server, ThreadPoolExecutor() as pool:
        client = client_of(server, openai)
        first = pool.submit(create, client, "until rejected", "busy")
        server.until_called("until rejected")
        with pytest.raises(openai.ConflictError):
            create(client, "refused", "busy")
        server.let_on("rejected")
        first.result()
    assert "began refused" not in server.calls()


def test_a_newer_message_interrupts_where_the_strategy_says_so(tmp_path: Path) -> None:
    with Server(tmp_path, strategy__name="interrupt") as server, ThreadPoolExecutor() as pool:
        client = client_of(server, openai)
        first = pool.submit(create, client, "hang", "one")
        server.until_called("hang")
        assert json.loads(create(client, "newer", "one").choices[0].message.content)["before"] == 0
        with pytest.raises(openai.ConflictError):
            first.result()


def test_an_agent_that_fails_is_called_once_though_the_client_would_retry(
    client: Any, server: Server
) -> None:
    with pytest.raises(openai.InternalServerError, match="The agent failed"):
        create(client.with_options(max_retries=2), "raise Exception")
    assert server.calls().count("began raise Exception") == 1


def test_an_agent_that_fails_in_a_stream_is_an_error_in_it(client: Any) -> None:
    with pytest.raises(openai.APIError, match="The agent failed"):
        text_of(create(client, "raise ValueError x", stream=True))


def test_a_cancelled_turn_ends_its_stream_with_an_error(client: Any, server: Server) -> None:
    stream = create(client, "hang", "stop", stream=True)
    opening = next(iter(stream))
    server.cancel(opening.turnline["turn_id"])
    with pytest.raises(openai.APIError, match="cancelled"):
        text_of(stream)


def test_a_shutdown_is_told_so_that_the_client_comes_back(tmp_path: Path) -> None:
    with Server(tmp_path) as server, ThreadPoolExecutor() as pool:
        client = client_of(server, openai, max_retries=0)
        pool.submit(create, client, "until stopped", "c")
        server.until_called("until stopped")
        waits = pool.submit(create, client, "waits", "c")
        server.until_depth(1)
        server.signal(15)
        with pytest.raises(openai.InternalServerError) as told:
            waits.result()
        assert told.value.status_code == 503
        assert told.value.response.headers["x-should-retry"] == "true"
        server.let_on("stopped")
        assert server.wait() == 0


def test_who_has_no_token_is_told_as_the_client_knows_it(tmp_path: Path) -> None:
    with Server(tmp_path, server__tokens=["ann:a-token"]) as server:
        with pytest.raises(openai.AuthenticationError):
            create(client_of(server, openai, "wrong"), "hello")
        create(client_of(server, openai, "a-token"), "hello")


def test_a_closed_door_is_not_there(tmp_path: Path) -> None:
    with Server(tmp_path, doors__off=["openai"]) as server:
        assert server.request("GET", "/v1/models").status == 404

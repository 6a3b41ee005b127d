"""The door of A2A 1.0, through its official client."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.doors.a2a import COMPLETED, echo_of, talk, text_of
from tests.support.client import until
from tests.support.server import Knobs, Server

httpx = pytest.importorskip("httpx")

from a2a.client.errors import A2AClientError  # noqa: E402
from a2a.types import a2a_pb2 as pb  # noqa: E402
from a2a.utils.errors import (  # noqa: E402
    A2AError,
    ContentTypeNotSupportedError,
    InternalError,
    InvalidParamsError,
    TaskNotCancelableError,
    TaskNotFoundError,
    UnsupportedOperationError,
)
from google.protobuf import json_format, struct_pb2  # noqa: E402

WORKING = pb.TASK_STATE_WORKING


@pytest.fixture
def careful(tmp_path: Path) -> Iterator[Server]:
    with Server(tmp_path, target="tests.support.keepers:careful") as running:
        yield running


async def test_the_card_says_where_and_what(server: Server) -> None:
    async with talk(server) as one:
        assert one.card.name
        assert one.card.capabilities.streaming
        (interface,) = one.card.supported_interfaces
    assert interface.url == f"http://127.0.0.1:{server.port}/a2a"
    assert (interface.protocol_binding, interface.protocol_version) == ("JSONRPC", "1.0")


async def test_the_card_names_the_address_behind_a_proxy(server: Server) -> None:
    headers = {
        "x-forwarded-proto": "https",
        "x-forwarded-host": "agents.example.org",
        "x-forwarded-prefix": "/one",
    }
    card = server.request("GET", "/.well-known/agent-card.json", headers=headers).json
    assert card["supportedInterfaces"][0]["url"] == "https://agents.example.org/one/a2a"
    headers = {"x-forwarded-host": "a b", "x-forwarded-proto": "javascript"}
    card = server.request("GET", "/.well-known/agent-card.json", headers=headers).json
    assert card["supportedInterfaces"][0]["url"] == "http://localhost/a2a"


async def test_a_task_that_a_shutdown_puts_off_has_not_ended(tmp_path: Path) -> None:
    with Server(tmp_path, server__drain_s=0.1) as server:
        async with talk(server) as one:
            stream = one.stream("until later", context="c")
            await anext(stream)
            await asyncio.to_thread(server.until_called, "until later")
            server.signal(signal.SIGTERM)
            *_, last = [event async for event in stream]
    status = last.status_update.status
    assert status.state == pb.TASK_STATE_SUBMITTED
    assert "is kept" in status.message.parts[0].text


async def test_a_web_page_may_call_with_the_headers_of_a2a(tmp_path: Path) -> None:
    origin = {"origin": "https://page.example"}
    wanted = "a2a-extensions,a2a-version,authorization,content-type"
    asked = {**origin, "access-control-request-headers": wanted}
    asked["access-control-request-method"] = "POST"
    with Server(tmp_path, server__cors_origins=["https://page.example"]) as server:
        answers = [
            server.request("GET", "/.well-known/agent-card.json", headers=origin),
            preflight := server.request("OPTIONS", "/a2a", headers=asked),
            server.request("POST", "/a2a", CALL, {**origin, "a2a-version": "1.0"}),
        ]
    for answer in answers:
        assert answer.status in (200, 204)
        assert answer.headers["access-control-allow-origin"] == "https://page.example"
    allowed = preflight.headers["access-control-allow-headers"].split(", ")
    assert {*wanted.split(",")} <= {*allowed}


async def test_messages_of_a_context_are_one_conversation(server: Server) -> None:
    async with talk(server, streaming=False) as one:
        (first,) = await one.all("one")
        context = first.task.context_id
        (second,) = await one.all("two", context=context)
    assert echo_of(first.task) == {"echo": "one", "before": 0}
    assert echo_of(second.task) == {"echo": "two", "before": 2}
    assert json.loads(server.chat("three", context).json["response"])["before"] == 4


async def test_a_stream_is_the_task_its_pieces_and_its_end(tmp_path: Path) -> None:
    with Server(tmp_path, target="tests.support.agents:teller") as server:
        async with talk(server) as one:
            events = await one.all("3 0.05", context="c")
            task = await one.task(events[0].task.id)
    assert events[0].task.status.state == pb.TASK_STATE_SUBMITTED
    assert events[0].task.context_id == "c"
    assert text_of(events) == "piece 0, piece 1, piece 2, "
    assert events[-1].status_update.status.state == COMPLETED
    assert task.artifacts[0].parts[0].text == text_of(events)


async def test_three_at_once_in_one_context_are_answered_in_order(server: Server) -> None:
    async with talk(server) as one:
        said = [one.all(f"sleep 0.1 {number}", context="at-once") for number in range(3)]
        streams = await asyncio.gather(*said)
    befores = [json.loads(text_of(events))["before"] for events in streams]
    assert sorted(befores) == [0, 2, 4]
    places = [
        event.status_update.metadata["position"]
        for events in streams
        for event in events
        if "position" in event.status_update.metadata
    ]
    assert max(places) == 2


async def test_what_the_agent_does_is_told_with_the_status(tmp_path: Path) -> None:
    with Server(tmp_path, target="tests.support.keepers:working") as server:
        async with talk(server) as one:
            events = await one.all("1 then")
    told = [key for event in events for key in event.status_update.metadata]
    for name in ("reasoning", "tool_call", "tool_result", "usage"):
        assert name in told
    assert text_of(events) == "step 0. All seen."


async def test_an_output_is_a_part_with_data(tmp_path: Path) -> None:
    with Server(tmp_path, target="tests.support.keepers:outputs") as server:
        async with talk(server) as one:
            events = await one.all("list")
            task = await one.task(events[0].task.id)
    parts = [part for part in task.artifacts[0].parts if part.HasField("data")]
    assert json_format.MessageToDict(parts[0].data) == [1, "two"]
    pieces = [
        event.artifact_update.artifact for event in events if event.HasField("artifact_update")
    ]
    assert pieces[-1].parts[0].HasField("data")


@pytest.mark.parametrize("streaming", [True, False])
async def test_a_refusal_is_an_error_with_words_and_what_to_wait(
    tmp_path: Path, streaming: bool
) -> None:
    with Server(tmp_path, strategy__name="reject") as server:
        held = server.ask("until end", "c")
        async with talk(server, streaming=streaming) as one:
            with pytest.raises(InternalError, match="A turn of this conversation is running") as no:
                await one.all("second", context="c")
        server.let_on("end")
        server.until_ended(held)
    assert no.value.data["outcome"] == "not_started"
    assert float(no.value.data["retry_after_s"]) > 0
    assert server.calls() == ["began until end", "ended until end"]


@pytest.mark.parametrize(
    ("bound", "cause"),
    [
        ("max_waiting_per_conversation", "The line of this conversation is full"),
        ("max_waiting", "The server is full"),
    ],
)
async def test_a_full_line_is_an_error_too(tmp_path: Path, bound: str, cause: str) -> None:
    knobs: Knobs = {f"strategy__{bound}": 1}
    with Server(tmp_path, **knobs) as server:
        server.ask("until end", "c")
        server.ask("second", "c")
        async with talk(server) as one:
            with pytest.raises(InternalError, match=cause) as no:
                await one.all("third", context="c")
        server.let_on("end")
    assert float(no.value.data["retry_after_s"]) > 0


async def test_the_newest_message_stops_the_task_that_runs(tmp_path: Path) -> None:
    with Server(tmp_path, strategy__name="interrupt") as server:
        async with talk(server) as one:
            first = one.stream("hang", context="c")
            await anext(first)
            await asyncio.to_thread(server.until_called, "hang")
            second = await one.all("second", context="c")
            stopped = [event async for event in first]
    assert stopped[-1].status_update.status.state == pb.TASK_STATE_CANCELED
    assert json.loads(text_of(second))["echo"] == "second"


async def test_a_failure_of_the_agent_is_a_failed_task_without_its_secrets(server: Server) -> None:
    async with talk(server) as one:
        events = await one.all("raise Exception", context="fails")
        (next_one,) = [await one.all("next", context="fails")]
        task = await one.task(events[0].task.id)
    status = events[-1].status_update.status
    assert status.state == task.status.state == pb.TASK_STATE_FAILED
    assert "The agent failed" in status.message.parts[0].text
    assert "secret" not in str(events)
    assert json.loads(text_of(next_one))["before"] == 0


async def test_a_task_that_never_started_is_rejected(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        server.ask("until end", "c")
        async with talk(server, turn_deadline_ms="200") as one:
            events = await one.all("late", context="c")
        server.let_on("end")
    last = events[-1].status_update
    assert last.status.state == pb.TASK_STATE_REJECTED
    assert last.metadata["outcome"] == "not_started"


async def test_a_running_task_is_cancelled_and_its_stream_ends(server: Server) -> None:
    async with talk(server) as one:
        stream = one.stream("hang cancelled", context="cancelled")
        task_id = (await anext(stream)).task.id
        await asyncio.to_thread(server.until_called, "hang cancelled")
        cancelled = await one.cancel(task_id)
        rest = [event async for event in stream]
        again = await one.cancel(task_id)
    assert cancelled.status.state == again.status.state == pb.TASK_STATE_CANCELED
    assert rest[-1].status_update.status.state == pb.TASK_STATE_CANCELED
    assert server.history("cancelled") == []


async def test_a_task_that_has_ended_is_not_cancelled(server: Server) -> None:
    async with talk(server) as one:
        events = await one.all("one")
        with pytest.raises(TaskNotCancelableError):
            await one.cancel(events[0].task.id)
        with pytest.raises(UnsupportedOperationError):
            await one.subscribe(events[0].task.id)


async def test_a_task_goes_on_when_its_client_leaves_and_can_be_subscribed_to(
    server: Server,
) -> None:
    async with talk(server) as one:
        stream = one.stream("until left", context="left")
        task_id = (await anext(stream)).task.id
        await asyncio.to_thread(server.until_called, "until left")
        await stream.aclose()  # type: ignore[attr-defined]
        assert (await one.task(task_id)).status.state == WORKING
        subscribed = asyncio.create_task(one.subscribe(task_id))
        await asyncio.sleep(0.2)
        server.let_on("left")
        events = await subscribed
    assert events[0].task.id == task_id
    assert json.loads(text_of(events))["echo"] == "until left"
    assert events[-1].status_update.status.state == COMPLETED


async def test_a_task_that_was_begun_in_chat_can_be_looked_up(server: Server) -> None:
    turn_id = server.ask("hello", "from-chat")
    server.until_ended(turn_id)
    async with talk(server) as one:
        assert echo_of(await one.task(turn_id))["echo"] == "hello"


async def test_a_task_is_answered_at_once_where_the_client_polls(server: Server) -> None:
    async with talk(server, streaming=False) as one:
        (event,) = await one.all("until polled", context="polled", return_immediately=True)
        assert event.task.status.state in (pb.TASK_STATE_SUBMITTED, WORKING)
        server.let_on("polled")
        await asyncio.to_thread(server.until_ended, event.task.id)
        assert echo_of(await one.task(event.task.id))["echo"] == "until polled"


async def test_after_a_kill_the_task_is_found_and_goes_on(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        async with talk(server) as one:
            stream = one.stream("until end", context="c")
            task_id = (await anext(stream)).task.id
            await asyncio.to_thread(server.until_called, "until end")
            server.kill()
            with pytest.raises(A2AClientError):
                _ = [event async for event in stream]
        await asyncio.to_thread(server.start)
        async with talk(server) as one:
            subscribed = asyncio.create_task(one.subscribe(task_id))
            await asyncio.sleep(0.2)
            server.let_on("end")
            events = await subscribed
            history = server.history("c")
    assert json.loads(text_of(events)) == {"echo": "until end", "before": 0}
    assert len(history) == 2


async def test_an_approval_is_asked_for_and_denied_in_words(careful: Server) -> None:
    async with talk(careful) as one:
        events = await one.all("delete x", context="c")
        last = events[-1].status_update
        assert last.status.state == pb.TASK_STATE_INPUT_REQUIRED
        assert last.status.message.parts[0].text == "Delete x?"
        with pytest.raises(InvalidParamsError, match="yes or no"):
            await one.all("perhaps", task=last.task_id)
        denied = await one.all("no, keep it", task=last.task_id, context="c")
    assert '"approve": false, "reason": "no, keep it"' in text_of(denied)


async def test_questions_are_answered_with_data_after_a_restart(careful: Server) -> None:
    async with talk(careful) as one:
        asked = await one.all("ask who, where", context="c")
    requests = json_format.MessageToDict(asked[-1].status_update.status.message.parts[1].data)
    assert [one["id"] for one in requests["requests"]] == ["who", "where"]
    careful.kill()
    await asyncio.to_thread(careful.start)
    answers = {name: {"approve": True, "value": "me"} for name in ("who", "where")}
    data = pb.Part(data=json_format.ParseDict(answers, struct_pb2.Value()))
    async with talk(careful) as one:
        done = await one.all(data, task=asked[-1].status_update.task_id)
    assert '"where": {"approve": true, "reason": "", "value": "me"}' in text_of(done)


async def test_one_question_is_answered_with_a_text(careful: Server) -> None:
    async with talk(careful) as one:
        asked = await one.all("ask who", context="c")
        done = await one.all("it was me", task=asked[0].task.id)
    assert '"value": "it was me"' in text_of(done)


async def test_a_message_for_a_task_that_waits_for_nothing_is_refused(server: Server) -> None:
    async with talk(server) as one:
        events = await one.all("one")
        with pytest.raises(UnsupportedOperationError, match="without the taskId"):
            await one.all("two", task=events[0].task.id)


async def test_callers_have_contexts_and_tasks_of_their_own(tmp_path: Path) -> None:
    with Server(tmp_path, server__tokens=["ann:a-token", "bob:b-token"]) as server:
        async with talk(server, token="a-token") as ann, talk(server, token="b-token") as bob:
            mine = await ann.all("mine", context="c")
            bobs = await bob.all("mine", context="c")
            assert json.loads(text_of(bobs))["before"] == 0
            for call in (bob.task, bob.cancel, bob.subscribe):
                with pytest.raises(TaskNotFoundError):
                    await call(mine[0].task.id)
            with pytest.raises(TaskNotFoundError):
                await bob.all("hello", task=mine[0].task.id)
            whole = await ann.client.get_extended_agent_card(
                pb.GetExtendedAgentCardRequest(), context=ann.context
            )
        async with talk(server) as stranger:
            assert stranger.card.security_requirements
            assert "echo" not in str(stranger.card)
            with pytest.raises(A2AError, match="401"):
                await stranger.all("mine")
    assert "echo" in whole.description


async def test_parts_reach_an_agent_that_takes_them(tmp_path: Path) -> None:
    parts = (
        "look",
        pb.Part(raw=b"picture", media_type="image/png"),
        pb.Part(url="https://example.org/a.pdf", media_type="application/pdf", filename="a.pdf"),
        pb.Part(data=json_format.ParseDict({"a": [1]}, struct_pb2.Value())),
    )
    with Server(tmp_path, target="tests.support.keepers:parts_of") as server:
        async with talk(server) as one:
            given = json.loads(text_of(await one.all(*parts)))["parts"]
    assert given == [
        {"type": "text", "text": "look"},
        {"type": "image", "media_type": "image/png", "data": "cGljdHVyZQ=="},
        {
            "type": "file",
            "name": "a.pdf",
            "media_type": "application/pdf",
            "url": "https://example.org/a.pdf",
        },
        {"type": "text", "text": '{"a": [1.0]}'},
    ]


async def test_parts_that_the_agent_does_not_take_are_refused(server: Server) -> None:
    async with talk(server) as one:
        with pytest.raises(ContentTypeNotSupportedError, match="takes no images"):
            await one.all(pb.Part(raw=b"picture", media_type="image/png"))


MESSAGE = {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": "hello"}]}
CALL = {"jsonrpc": "2.0", "id": 7, "method": "SendMessage", "params": {"message": MESSAGE}}


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"jsonrpc": "1.0"}, -32600),
        ({"method": 7}, -32600),
        ({"method": "message/send"}, -32601),
        ({"method": "tasks/pushNotificationConfig/set"}, -32601),
        ({"params": []}, -32602),
        ({"params": {}}, -32602),
        ({"params": {"message": {**MESSAGE, "parts": []}}}, -32602),
        ({"params": {"message": {**MESSAGE, "parts": [{"x": 1}]}}}, -32602),
        ({"params": {"message": {**MESSAGE, "role": "ROLE_AGENT"}}}, -32602),
        ({"params": {"message": {**MESSAGE, "parts": [{"data": "\ud800"}]}}}, -32602),
        ({"params": {"message": {**MESSAGE, "contextId": "a/b"}}}, -32602),
        ({"params": {"message": {**MESSAGE, "taskId": 7}}}, -32001),
        ({"method": "GetTask"}, -32001),
        ({"method": "GetTask", "params": {"id": "0" * 32}}, -32001),
        ({"method": "GetExtendedAgentCard"}, -32007),
    ],
)
async def test_a_call_that_cannot_be_read_is_an_error_of_json_rpc(
    server: Server, wrong: dict[str, Any], code: int
) -> None:
    answer = server.request("POST", "/a2a", {**CALL, **wrong})
    assert (answer.status, answer.json["id"]) == (200, 7)
    assert answer.json["error"]["code"] == code, answer.json


async def test_a_body_that_cannot_be_read_is_an_error_of_json_rpc(server: Server) -> None:
    for body, code in ((b"{", -32700), (b"[]", -32600)):
        answer = server.request("POST", "/a2a", body)
        assert answer.status == 200
        assert answer.json["error"]["code"] == code, answer.json


async def test_an_id_that_is_no_text_is_answered(server: Server) -> None:
    answer = server.request("POST", "/a2a", {**CALL, "id": "\ud800"})
    assert answer.json["id"] == "?"
    assert answer.json["result"]["task"]["status"]["state"] == "TASK_STATE_COMPLETED"


async def test_another_version_is_refused(server: Server) -> None:
    answer = server.request("POST", "/a2a", CALL, {"a2a-version": "0.3"})
    assert answer.json["error"]["code"] == -32009


async def test_a_plain_turn_of_one_that_left_is_not_lost(server: Server) -> None:
    async with httpx.AsyncClient(timeout=0.3) as http:
        params = {"message": {**MESSAGE, "contextId": "gone", "parts": [{"text": "sleep 0.6"}]}}
        with pytest.raises(httpx.TimeoutException):
            await http.post(f"http://127.0.0.1:{server.port}/a2a", json={**CALL, "params": params})
    until(lambda: len(server.history("gone")) == 2, "the turn is kept")

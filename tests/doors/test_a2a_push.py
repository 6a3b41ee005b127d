"""Push notifications of A2A, asked for by its official client, at a receiver of our own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.doors.a2a import COMPLETED, echo_of, talk
from tests.support.client import until
from tests.support.server import Server
from tests.webhooks.receiver import Hook, Receiver
from tests.webhooks.test_webhooks import KNOBS, is_signed

errors = pytest.importorskip("a2a.utils.errors")

from a2a.types import a2a_pb2 as pb  # noqa: E402
from google.protobuf import json_format  # noqa: E402

EACH: list[tuple[str, dict[str, str]]] = [
    ("Create", {"url": "http://localhost/"}), ("Get", {"id": "i"}), ("List", {}),
    ("Delete", {"id": "i"}),
]  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("push"), **KNOBS) as running:
        yield running


def wanted(receiver: Receiver, **more: Any) -> pb.TaskPushNotificationConfig:
    return pb.TaskPushNotificationConfig(url=receiver.url, **more)


def bearer(credentials: str = "a secret") -> pb.AuthenticationInfo:
    return pb.AuthenticationInfo(scheme="Bearer", credentials=credentials)


async def come(receiver: Receiver, count: int = 1) -> list[Hook]:
    """The notifications, when so many have come."""
    await asyncio.to_thread(until, lambda: len(receiver.hooks) >= count, f"{count} come")
    return receiver.hooks


def told(hook: Hook) -> pb.Task:
    """The task in it: the body is what a stream of A2A would have said."""
    said = json_format.Parse(hook.body, pb.StreamResponse())
    assert said.HasField("task")
    return said.task


@pytest.mark.parametrize("streaming", [True, False])
async def test_the_end_of_a_task_is_told_as_a_task_with_what_the_receiver_wants_to_see(
    server: Server, streaming: bool
) -> None:
    with Receiver() as receiver:
        config = wanted(receiver, token="a-token", authentication=bearer())
        async with talk(server, streaming=streaming) as one:
            assert one.card.capabilities.push_notifications
            events = await one.all("hello", task_push_notification_config=config)
        (hook,) = await come(receiver)
    task = told(hook)
    assert task.id == events[0].task.id == hook.headers["webhook-id"]
    assert task.context_id == events[0].task.context_id
    assert echo_of(task)["echo"] == "hello"
    assert hook.headers["content-type"] == "application/a2a+json"
    assert hook.headers["x-a2a-notification-token"] == "a-token"
    assert hook.headers["authorization"] == "Bearer a secret"
    assert is_signed(hook)


async def test_what_did_not_go_well_is_told_too(server: Server) -> None:
    with Receiver() as receiver:
        async with talk(server) as one:
            config = wanted(receiver)
            await one.all("raise Exception", task_push_notification_config=config)
            (hook,) = await come(receiver)
    assert told(hook).status.state == pb.TASK_STATE_FAILED
    assert "authorization" not in hook.headers


async def test_a_question_is_told(tmp_path: Path) -> None:
    target = "tests.support.keepers:careful"
    with Receiver() as receiver, Server(tmp_path, target=target, **KNOBS) as server:
        async with talk(server) as one:
            await one.all("ask who", task_push_notification_config=wanted(receiver))
        (hook,) = await come(receiver)
    assert told(hook).status.state == pb.TASK_STATE_INPUT_REQUIRED
    assert told(hook).status.message.parts[0].text == "who?"


async def test_after_a_kill_the_next_process_tells_in_the_same_words(tmp_path: Path) -> None:
    with Receiver(503) as receiver, Server(tmp_path, **KNOBS) as server:
        config = wanted(receiver, token="a-token", authentication=bearer())
        async with talk(server, streaming=False) as one:
            await one.all("ended", task_push_notification_config=config)
            await come(receiver)
            how = {"task_push_notification_config": config, "return_immediately": True}
            await one.all("hang-at-first", **how)
            await asyncio.to_thread(server.until_called, "hang-at-first")
        server.kill()
        receiver.statuses = [204]
        server.start()
        hooks = (await come(receiver, 3))[1:]
    assert {echo_of(told(hook))["echo"] for hook in hooks} == {"ended", "hang-at-first"}
    assert {hook.headers["authorization"] for hook in hooks} == {"Bearer a secret"}
    assert {hook.headers["x-a2a-notification-token"] for hook in hooks} == {"a-token"}


async def test_who_waits_to_be_called_need_not_stay(server: Server) -> None:
    with Receiver() as receiver:
        async with talk(server, streaming=False) as one:
            config = wanted(receiver)
            running = one.all("until stayed", context="stay", task_push_notification_config=config)
            first = asyncio.create_task(running)
            await asyncio.to_thread(server.until_called, "until stayed")
            waiting = one.all("second", context="stay", task_push_notification_config=config)
            second = asyncio.create_task(waiting)
            await asyncio.to_thread(server.until_depth, 1)
            first.cancel()
            second.cancel()
        server.let_on("stayed")
        hooks = await come(receiver, 2)
    assert [echo_of(told(hook))["echo"] for hook in hooks] == ["until stayed", "second"]


async def test_a_notification_of_a_task_that_runs_is_asked_for_shown_changed_and_taken_back(
    server: Server,
) -> None:
    with Receiver() as receiver:
        async with talk(server, streaming=False) as one:
            (event,) = await one.all("until changed", context="ch", return_immediately=True)
            task_id = event.task.id
            assert not (await one.push("List", task_id)).configs

            mine = {"id": "mine", "url": receiver.url}
            created = await one.push("Create", task_id, authentication=bearer("old"), **mine)
            assert (created.task_id, created.id, created.url) == (task_id, "mine", receiver.url)
            assert created.authentication.scheme == "Bearer"
            assert not created.authentication.credentials
            await one.push("Create", task_id, authentication=bearer("new"), **mine)
            (listed,) = (await one.push("List", task_id)).configs
            assert created == listed == await one.push("Get", task_id, id="mine")

            with pytest.raises(errors.UnsupportedOperationError, match="another already"):
                await one.push("Create", task_id, id="another", url=receiver.url)
            for _ in range(2):
                await one.push("Delete", task_id, id="mine")
            with pytest.raises(errors.TaskNotFoundError):
                await one.push("Get", task_id, id="mine")
            await one.push("Create", task_id, authentication=bearer("new"), **mine)
            server.let_on("changed")
            (hook,) = await come(receiver)
    assert hook.headers["authorization"] == "Bearer new"
    assert told(hook).id == task_id


async def test_nothing_is_told_of_a_task_whose_notification_was_taken_back(server: Server) -> None:
    with Receiver() as receiver:
        async with talk(server, streaming=False) as one:
            how = {"task_push_notification_config": wanted(receiver), "return_immediately": True}
            (event,) = await one.all("until back", context="back", **how)
            task_id = event.task.id
            await one.push("Delete", task_id, id=task_id)
            server.let_on("back")
            await asyncio.to_thread(server.until_ended, task_id)
            await one.all("later", task_push_notification_config=wanted(receiver))
            (hook,) = await come(receiver)
    assert told(hook).id != task_id


async def test_a_task_that_has_ended_takes_no_notification(server: Server) -> None:
    with Receiver() as receiver:
        async with talk(server) as one:
            events = await one.all("hello")
            with pytest.raises(errors.UnsupportedOperationError, match="has ended"):
                await one.push("Create", events[0].task.id, url=receiver.url)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"url": "https://elsewhere.example/"}, "not in [webhook] allowed_hosts"),
        ({"url": "ftp://localhost/"}, "such as https://"),
        ({"url": 7}, "such as https://"),
        ({}, "such as https://"),
        ({"id": "a\nb"}, "An id is"),
        ({"id": "a" * 129}, "An id is"),
        ({"token": "a\r\nb: c"}, "A token is"),
        ({"authentication": {"scheme": "Bearer"}}, "credentials"),
        ({"authentication": {"credentials": "x"}}, "credentials"),
        ({"authentication": {"scheme": "Bearer", "credentials": "a\nb"}}, "credentials"),
        ({"authentication": {"scheme": "a b", "credentials": "x"}}, "credentials"),
        ({"authentication": []}, "credentials"),
    ],
)
async def test_a_notification_that_cannot_be_sent_is_refused(
    server: Server, config: dict[str, Any], words: str
) -> None:
    whole = config if not config or "url" in config else {"url": "http://localhost/", **config}
    message = {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": "refused"}]}
    asked = {"taskPushNotificationConfig": whole}
    params = {"message": {**message, "contextId": "refused"}, "configuration": asked}
    for method, given in (
        ("SendMessage", params),
        ("SendStreamingMessage", params),
        ("CreateTaskPushNotificationConfig", {"taskId": "t", **whole}),
    ):
        call = {"jsonrpc": "2.0", "id": 1, "method": method, "params": given}
        error = server.request("POST", "/a2a", call).json["error"]
        assert error["code"] == -32602
        assert words in error["message"]
    assert not server.history("refused")


async def test_another_callers_notifications_are_not_there(tmp_path: Path) -> None:
    tokens = ["ann:a-token", "bob:b-token"]
    with Receiver() as receiver, Server(tmp_path, server__tokens=tokens, **KNOBS) as server:
        async with (
            talk(server, streaming=False, token="a-token") as ann,
            talk(server, token="b-token") as bob,
        ):
            how = {"task_push_notification_config": wanted(receiver), "return_immediately": True}
            (event,) = await ann.all("until end", **how)
            for verb, more in EACH:
                with pytest.raises(errors.TaskNotFoundError):
                    await bob.push(verb, event.task.id, **more)
            server.let_on("end")
            (hook,) = await come(receiver)
    assert told(hook).status.state == COMPLETED


async def test_a_server_that_sends_no_webhooks_says_so(tmp_path: Path) -> None:
    config = pb.TaskPushNotificationConfig(url="https://hooks.example/")
    with Server(tmp_path) as server:
        async with talk(server) as one:
            assert not one.card.capabilities.push_notifications
            with pytest.raises(errors.PushNotificationNotSupportedError, match="settings"):
                await one.all("hello", context="c", task_push_notification_config=config)
            for verb, more in EACH:
                with pytest.raises(errors.PushNotificationNotSupportedError, match="settings"):
                    await one.push(verb, "t", **more)
        assert not server.history("c")


async def test_one_that_chat_asked_for_is_not_shown_as_one_of_a2a(server: Server) -> None:
    with Receiver() as receiver:
        task_id = server.ask("until chat", "from-chat", webhook_url=receiver.url)
        async with talk(server) as one:
            assert not (await one.push("List", task_id)).configs
            with pytest.raises(errors.UnsupportedOperationError, match="another already"):
                await one.push("Create", task_id, url=receiver.url)
        server.let_on("chat")
        (hook,) = await come(receiver)
    assert json.loads(hook.body)["turn_id"] == task_id

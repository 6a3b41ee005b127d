"""A2A's official client, with the few words that the tests need."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.support.server import Server

a2a_client = pytest.importorskip("a2a.client")
httpx = pytest.importorskip("httpx")

from a2a.client.client import ClientCallContext  # noqa: E402
from a2a.types import a2a_pb2 as pb  # noqa: E402

COMPLETED = pb.TASK_STATE_COMPLETED

PUSH = {
    "Create": (pb.TaskPushNotificationConfig, "config"),
    "Get": (pb.GetTaskPushNotificationConfigRequest, "config"),
    "List": (pb.ListTaskPushNotificationConfigsRequest, "configs"),
    "Delete": (pb.DeleteTaskPushNotificationConfigRequest, "config"),
}


class Talk:
    """A client that has read the agent's card."""

    def __init__(self, client: Any, card: Any, headers: dict[str, str]) -> None:
        self.client = client
        self.card = card
        self.context = ClientCallContext(service_parameters=headers)

    def message(
        self, *parts: Any, context: str = "", task: str = "", **configured: Any
    ) -> pb.SendMessageRequest:
        listed = [pb.Part(text=part) if isinstance(part, str) else part for part in parts]
        message = pb.Message(
            message_id="m", role=pb.ROLE_USER, parts=listed, context_id=context, task_id=task
        )
        return pb.SendMessageRequest(
            message=message, configuration=pb.SendMessageConfiguration(**configured)
        )

    def stream(self, *parts: Any, **more: Any) -> AsyncIterator[pb.StreamResponse]:
        stream: AsyncIterator[pb.StreamResponse] = self.client.send_message(
            self.message(*parts, **more), context=self.context
        )
        return stream

    async def all(self, *parts: Any, **more: Any) -> list[pb.StreamResponse]:
        return [event async for event in self.stream(*parts, **more)]

    async def task(self, task_id: str) -> pb.Task:
        found: pb.Task = await self.client.get_task(
            pb.GetTaskRequest(id=task_id), context=self.context
        )
        return found

    async def cancel(self, task_id: str) -> pb.Task:
        found: pb.Task = await self.client.cancel_task(
            pb.CancelTaskRequest(id=task_id), context=self.context
        )
        return found

    async def subscribe(self, task_id: str) -> list[pb.StreamResponse]:
        request = pb.SubscribeToTaskRequest(id=task_id)
        return [event async for event in self.client.subscribe(request, context=self.context)]

    async def push(self, verb: str, task_id: str, **more: Any) -> Any:
        """Create, Get, List or Delete the push notification of a task."""
        kind, name = PUSH[verb]
        call = getattr(self.client, f"{verb.lower()}_task_push_notification_{name}")
        return await call(kind(task_id=task_id, **more), context=self.context)


@asynccontextmanager
async def talk(
    server: Server, *, streaming: bool = True, token: str = "", **headers: str
) -> AsyncGenerator[Talk]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    if token:
        named["authorization"] = f"Bearer {token}"
    async with httpx.AsyncClient(timeout=30) as http:
        base = f"http://127.0.0.1:{server.port}"
        card = await a2a_client.A2ACardResolver(http, base).get_agent_card()
        config = a2a_client.ClientConfig(streaming=streaming, httpx_client=http)
        client = a2a_client.ClientFactory(config).create(card)
        yield Talk(client, card, named)


def text_of(events: list[pb.StreamResponse]) -> str:
    """The artifact's text as its pieces give it."""
    said = ""
    for event in events:
        if event.HasField("artifact_update"):
            piece = "".join(part.text for part in event.artifact_update.artifact.parts)
            said = said + piece if event.artifact_update.append else piece
    return said


def echo_of(task: pb.Task) -> Any:
    assert task.status.state == COMPLETED, task
    return json.loads(task.artifacts[0].parts[0].text)

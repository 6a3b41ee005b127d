"""What the tests of the LangGraph door have in common: its SDK's client, and what it is told."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.support.server import Server

sdk = pytest.importorskip("langgraph_sdk")
errors = pytest.importorskip("langgraph_sdk.errors")


def connect(server: Server, key: str | None = None) -> Any:
    return sdk.get_client(url=f"http://127.0.0.1:{server.port}/langgraph", api_key=key)


def say(message: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": message}]}


def texts(state: Any) -> list[str]:
    return [message["content"] for message in state["messages"]]


def replies(state: Any) -> list[Any]:
    """What the echo agent said, each as it is in JSON."""
    return [json.loads(one["content"]) for one in state["messages"] if one["type"] == "ai"]


async def new_thread(client: Any) -> str:
    thread: dict[str, Any] = await client.threads.create()
    return str(thread["thread_id"])


async def collected(stream: AsyncIterator[Any]) -> list[Any]:
    return [part async for part in stream]


def spoken(parts: list[Any]) -> str:
    """What was streamed of the reply."""
    return "".join(part.data[0]["content"] for part in parts if part.event == "messages")

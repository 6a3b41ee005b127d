"""`POST /chat` in virtual time: the edge as an ASGI app, over a service with a slow disk."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from runner.api.edge import Edge
from runner.api.exchange import Receive, Scope, Send
from runner.store.base import AcceptedTurn
from tests.turns.test_service import SlowStore, World, play


class SlowToAccept(SlowStore):
    """Takes a second to write a turn down, too."""

    async def accept(self, turn: AcceptedTurn) -> None:
        await asyncio.sleep(1)
        await super().accept(turn)


class Client:
    """One request; `leave` closes its connection."""

    def __init__(self, edge: Edge, message: str, **headers: str) -> None:
        body = json.dumps({"message": message, "conversation_id": "c"}).encode()
        self._events: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._events.put_nowait({"type": "http.request", "body": body, "more_body": False})
        named = {"content-type": "application/json", "host": "localhost"}
        named |= {name.replace("_", "-"): value for name, value in headers.items()}
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": "POST",
            "path": "/chat",
            "query_string": b"",
            "headers": [(name.encode(), value.encode()) for name, value in named.items()],
        }
        self.status = 0
        self.body = b""
        self.task = asyncio.create_task(edge(scope, self._events.get, self._send))

    async def _send(self, message: Any) -> None:
        self.status = message.get("status", self.status)
        self.body += message.get("body", b"")

    def leave(self) -> None:
        self._events.put_nowait({"type": "http.disconnect"})


async def nowhere(scope: Scope, receive: Receive, send: Send) -> None:
    raise AssertionError("all of these paths are ours")


def chat(scene: Callable[[World, Callable[..., Client]], Awaitable[None]]) -> None:
    async def live(world: World) -> None:
        edge = Edge(world.service, nowhere)
        await scene(world, lambda message, **headers: Client(edge, message, **headers))

    play(live, SlowToAccept)


def test_a_turn_that_a_shutdown_ends_while_it_is_written_down_is_not_promised() -> None:
    """I-8: whoever holds a 202 has a turn that runs, now or in the next process."""

    async def scene(world: World, ask: Callable[..., Client]) -> None:
        ask("5 blocks")
        await asyncio.sleep(0.1)
        client = ask("1 later", prefer="respond-async")
        await asyncio.sleep(0.1)
        await world.service.drain(0)
        await client.task
        assert client.status == 503
        assert json.loads(client.body)["outcome"] == "not_started"

    chat(scene)


def test_a_stream_that_attaches_while_the_turn_is_written_down_keeps_it() -> None:
    """I-19: the first client leaves before the second one is sent a word."""

    async def scene(world: World, ask: Callable[..., Client]) -> None:
        ask("2 blocks")
        await asyncio.sleep(0.1)
        first = ask("1 keyed", idempotency_key="k")
        await asyncio.sleep(0.1)
        second = ask("1 keyed", idempotency_key="k", accept="text/event-stream")
        await asyncio.sleep(0.1)
        first.leave()
        await second.task
        assert b"event: done" in second.body

    chat(scene)


def test_a_waiting_turn_that_was_cancelled_is_never_shown_as_running() -> None:
    """I-1, as a client sees it: its ending is still being kept."""

    async def scene(world: World, ask: Callable[..., Client]) -> None:
        ask("5 blocks")
        await asyncio.sleep(0.1)
        ask("1 keyed", idempotency_key="k")
        await asyncio.sleep(1.5)
        shown = await world.service.conversation("c")
        assert shown is not None
        waiting = shown.line[1]
        assert waiting.ticket is not None
        waiting.ticket.cancel()
        await asyncio.sleep(0.5)
        assert (waiting.ending, waiting.state) == (None, "waiting")
        await asyncio.sleep(1)
        assert waiting.state == "cancelled"

    chat(scene)

"""The client for programs with asyncio. `sync.py` is the same without `await`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any, Self, TypeVar, Unpack

import httpx

from runner.client.calls import Calls
from runner.client.exchange import Call, Steps
from runner.client.shapes import Event, Message, Options, Reply, Said, Turn
from runner.client.transport import BROKEN, knobs, loss

T = TypeVar("T")


class AsyncClient:
    """A client of the server at `url`. Close it, or use it with `async with`.

    retries    how often a message is sent again that was refused before its agent was called,
               or that no server answered. The server says when; there is no harm in it.
    timeout_s  a server that gives no sign of life for so long is given up. How long a turn
               may take, `deadline_s` of the call says.

    Nothing runs twice: each call has an idempotency key, and one that lost its connection finds
    its turn again. Calls raise a TurnlineError; `ask` and `stream` where there is no reply.
    """

    def __init__(
        self,
        url: str = "http://127.0.0.1:8080",
        token: str | None = None,
        *,
        retries: int = 5,
        timeout_s: float = 60.0,
    ) -> None:
        self._calls = Calls(url, token, retries, timeout_s)
        self._http = httpx.AsyncClient(**knobs(self._calls))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()

    async def close(self) -> None:
        await self._http.aclose()

    async def ask(
        self,
        message: Message | None = None,
        conversation_id: str = "default",
        **options: Unpack[Options],
    ) -> Reply:
        """Send a message and wait for the reply. Raises InputRequired where the agent asks."""
        exchange = self._calls.ask(message, conversation_id, options)
        async for _ in self._run(exchange):
            pass
        assert exchange.reply is not None
        return exchange.reply

    def stream(
        self,
        message: Message | None = None,
        conversation_id: str = "default",
        **options: Unpack[Options],
    ) -> AsyncGenerator[Event]:
        """The events of the turn as they come; the last one is the reply.

        To leave it does not cancel the turn: `cancel` does, with the turn's id. The same holds
        for a task that is cancelled in any of these calls.
        """
        return self._run(self._calls.ask(message, conversation_id, options))

    async def background(
        self,
        message: Message | None = None,
        conversation_id: str = "default",
        *,
        webhook: str | None = None,
        **options: Unpack[Options],
    ) -> Turn:
        """Send a message and do not wait: the turn that the server has written down.

        webhook  where the server posts what became of it, once it has ended.
        """
        return await self._call(self._calls.background(message, conversation_id, webhook, options))

    async def turn(self, turn_id: str) -> Turn:
        """The turn as it stands now."""
        return await self._call(self._calls.turn(turn_id))

    def events(self, turn_id: str) -> AsyncGenerator[Event]:
        """The turn's events from the beginning, as `stream` gives them."""
        return self._run(self._calls.events(turn_id))

    async def wait(self, turn_id: str) -> Reply:
        """The turn's reply, or what `ask` would have raised."""
        exchange = self._calls.events(turn_id)
        async for _ in self._run(exchange):
            pass
        assert exchange.reply is not None
        return exchange.reply

    async def cancel(self, turn_id: str) -> Turn:
        """Cancel the turn, waiting or running; what is known of it afterwards."""
        return await self._call(self._calls.cancel(turn_id))

    async def history(self, conversation_id: str = "default", count: int = 0) -> list[Said]:
        """The last `count` messages of a conversation; 0 means all."""
        return await self._call(self._calls.history(conversation_id, count))

    async def forget(self, conversation_id: str) -> None:
        """Delete a conversation. Raises Refused while a turn of it waits or runs."""
        await self._call(self._calls.forget(conversation_id))

    async def health(self) -> dict[str, Any]:
        """What the server says of itself."""
        return await self._call(self._calls.health())

    async def _call(self, call: Call[T]) -> T:
        async for _ in self._run(call):
            pass
        assert call.result is not None
        return call.result

    async def _run(self, steps: Steps[T]) -> AsyncGenerator[T]:
        while not steps.is_over:
            sent = steps.request()
            try:
                async with self._http.stream(
                    sent.method, sent.path, headers=sent.headers, content=sent.body
                ) as response:
                    steps.begin(response.status_code, response.headers)
                    async for data in response.aiter_bytes():
                        for shown in steps.receive(data):
                            yield shown
                for shown in steps.finish():
                    yield shown
            except BROKEN as error:
                why, was_sent = loss(error)
                for shown in steps.lose(why, was_sent=was_sent):
                    yield shown
            await asyncio.sleep(steps.pause_s)

"""The client for programs without asyncio. `aio.py` is the same with `await`."""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import Any, Self, TypeVar, Unpack

import httpx

from runner.client.calls import Calls
from runner.client.exchange import Call, Steps
from runner.client.shapes import Event, Message, Options, Reply, Said, Turn
from runner.client.transport import BROKEN, knobs, loss

T = TypeVar("T")


class Client:
    """A client of the server at `url`. Close it, or use it with `with`; threads may share it.

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
        self._http = httpx.Client(**knobs(self._calls))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def ask(
        self,
        message: Message | None = None,
        conversation_id: str = "default",
        **options: Unpack[Options],
    ) -> Reply:
        """Send a message and wait for the reply. Raises InputRequired where the agent asks."""
        exchange = self._calls.ask(message, conversation_id, options)
        for _ in self._run(exchange):
            pass
        assert exchange.reply is not None
        return exchange.reply

    def stream(
        self,
        message: Message | None = None,
        conversation_id: str = "default",
        **options: Unpack[Options],
    ) -> Generator[Event]:
        """The events of the turn as they come; the last one is the reply.

        To leave it does not cancel the turn: `cancel` does, with the turn's id.
        """
        return self._run(self._calls.ask(message, conversation_id, options))

    def background(
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
        return self._call(self._calls.background(message, conversation_id, webhook, options))

    def turn(self, turn_id: str) -> Turn:
        """The turn as it stands now."""
        return self._call(self._calls.turn(turn_id))

    def events(self, turn_id: str) -> Generator[Event]:
        """The turn's events from the beginning, as `stream` gives them."""
        return self._run(self._calls.events(turn_id))

    def wait(self, turn_id: str) -> Reply:
        """The turn's reply, or what `ask` would have raised."""
        exchange = self._calls.events(turn_id)
        for _ in self._run(exchange):
            pass
        assert exchange.reply is not None
        return exchange.reply

    def cancel(self, turn_id: str) -> Turn:
        """Cancel the turn, waiting or running; what is known of it afterwards."""
        return self._call(self._calls.cancel(turn_id))

    def history(self, conversation_id: str = "default", count: int = 0) -> list[Said]:
        """The last `count` messages of a conversation; 0 means all."""
        return self._call(self._calls.history(conversation_id, count))

    def forget(self, conversation_id: str) -> None:
        """Delete a conversation. Raises Refused while a turn of it waits or runs."""
        self._call(self._calls.forget(conversation_id))

    def health(self) -> dict[str, Any]:
        """What the server says of itself."""
        return self._call(self._calls.health())

    def _call(self, call: Call[T]) -> T:
        for _ in self._run(call):
            pass
        assert call.result is not None
        return call.result

    def _run(self, steps: Steps[T]) -> Generator[T]:
        while not steps.is_over:
            sent = steps.request()
            try:
                with self._http.stream(
                    sent.method, sent.path, headers=sent.headers, content=sent.body
                ) as response:
                    steps.begin(response.status_code, response.headers)
                    for data in response.iter_bytes():
                        yield from steps.receive(data)
                yield from steps.finish()
            except BROKEN as error:
                why, was_sent = loss(error)
                yield from steps.lose(why, was_sent=was_sent)
            time.sleep(steps.pause_s)

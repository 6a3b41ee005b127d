"""What uvicorn's protocols lack, alike for h11 and httptools.

Guarded by tests/process over `http=uvicorn`; pyproject.toml bounds uvicorn's version.

- A cap on connections, answered with 503; uvloop does not call Python's `accept`.
- A limit on slow headers: uvicorn's keep-alive timer stops at a request's first byte; here
  it runs until the head is complete.
- Bounded pipelining: `receive`, with which an app waits for its client's departure, makes
  uvicorn read on, whatever is waiting in the pipeline.
- A malformed request gets a problem document, and not in the middle of another answer.
- A client that closes its own side after its request is answered, unless the app goes by its
  departure: as over Hypercorn.
"""

from __future__ import annotations

import asyncio
from typing import Any, cast

import h11
from uvicorn.protocols.http import h11_impl
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from runner.server.listener import FULL, MALFORMED, as_bytes

BAD_REQUEST = as_bytes(MALFORMED, "Bad Request")


FED_BYTES = 16_384


class Flow(FlowControl):
    """Does not read on while `held`: a further request waits for the answer before it."""

    held = False

    def resume_reading(self) -> None:
        if not self.held:
            super().resume_reading()


class HalfClosed:
    """Goes in front of a request of uvicorn's whose client may close its own side.

    left         it has, after the whole request.
    is_received  the app has the whole request, so that it may be told.
    """

    left = False
    is_received = False
    transport: Any

    async def receive(self) -> Any:
        if self.left and self.is_received:
            self.disconnected = True
            return {"type": "http.disconnect"}
        event = cast("dict[str, Any]", await super().receive())  # type: ignore[misc]
        self.is_received = not event.get("more_body", False)
        return event

    async def run_asgi(self, app: Any) -> None:
        await super().run_asgi(app)  # type: ignore[misc]
        if self.left:
            self.transport.close()


class Mended(asyncio.Protocol):
    """Goes in front of a protocol of uvicorn's, whose attributes these are."""

    config: Any
    cycle: Any
    connections: set[Any]
    flow: Any
    loop: asyncio.AbstractEventLoop
    server_state: Any
    timeout_keep_alive_handler: Any
    timeout_keep_alive_task: Any
    transport: Any
    _unset_keepalive_if_required: Any

    def connection_made(self, transport: Any) -> None:
        if len(self.connections) >= self.server_state.most:
            self.transport = transport
            transport.write(FULL)
            transport.close()
            return
        super().connection_made(transport)
        self.flow = Flow(transport)
        self.timeout_keep_alive_task = self.loop.call_later(
            self.config.timeout_keep_alive, self.timeout_keep_alive_handler
        )

    def connection_lost(self, exc: Exception | None) -> None:
        self._unset_keepalive_if_required()
        super().connection_lost(exc)

    def eof_received(self) -> Any:
        """Stay open for the answer to a request that is whole."""
        if self.cycle is None or self.cycle.response_complete or self.cycle.more_body:
            return False
        self.cycle.left = True
        self.cycle.message_event.set()
        return True

    def send_400_response(self, msg: str) -> None:
        if self.cycle is not None and _is_being_answered(self.cycle):
            self.cycle.keep_alive = False
            self.hold()
        else:
            self.transport.write(BAD_REQUEST)
            self.transport.close()

    def hold(self) -> None:
        self.flow.pause_reading()
        self.flow.held = True


def _is_being_answered(cycle: Any) -> bool:
    """Whether its request is whole, so that what is malformed comes after it."""
    return not cycle.response_complete and (cycle.response_started or not cycle.more_body)


class Cycle(HalfClosed, RequestResponseCycle):
    pass


h11_impl.RequestResponseCycle = Cycle  # type: ignore[misc]


class H11(Mended, H11Protocol):
    def data_received(self, data: bytes) -> None:
        # Part by part: h11 asks how long a head is only while it is not whole.
        for start in range(0, len(data), FED_BYTES):
            if not self.transport.is_closing():
                self.conn.receive_data(data[start : start + FED_BYTES])
                self.handle_events()

    def handle_events(self) -> None:
        super().handle_events()
        self.flow.held = (
            self.flow.read_paused
            and self.conn.their_state is h11.DONE
            and bool(self.conn.trailing_data[0])
        )

    def on_response_complete(self) -> None:
        self.flow.held = False
        super().on_response_complete()

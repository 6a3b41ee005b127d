"""What uvicorn's protocols lack, alike for h11 and httptools.

Guarded by tests/process over `http=uvicorn`; pyproject.toml bounds uvicorn's version.

- A cap on connections, answered with 503; uvloop does not call Python's `accept`.
- A limit on slow headers: uvicorn's keep-alive timer stops at a request's first byte; here
  it runs until the head is complete.
- Bounded pipelining: `receive`, with which an app waits for its client's departure, makes
  uvicorn read on, whatever is waiting in the pipeline.
- A malformed request gets a problem document, and not in the middle of another answer.
"""

from __future__ import annotations

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.h11_impl import H11Protocol

from runner.api.problems import MALFORMED_REQUEST, problem
from runner.server.listener import FULL, as_bytes

MALFORMED = as_bytes(problem(MALFORMED_REQUEST, "This is not HTTP/1.1."), "Bad Request")


FED_BYTES = 16_384


class Flow(FlowControl):
    """Does not read on while `held`: a further request waits for the answer before it."""

    held = False

    def resume_reading(self) -> None:
        if not self.held:
            super().resume_reading()


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

    def send_400_response(self, msg: str) -> None:
        if self.cycle is not None and _is_being_answered(self.cycle):
            self.cycle.keep_alive = False
            self.hold()
        else:
            self.transport.write(MALFORMED)
            self.transport.close()

    def hold(self) -> None:
        self.flow.pause_reading()
        self.flow.held = True


def _is_being_answered(cycle: Any) -> bool:
    """Whether its request is whole, so that what is malformed comes after it."""
    return not cycle.response_complete and (cycle.response_started or not cycle.more_body)


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

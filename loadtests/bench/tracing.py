"""What spans cost: the CPU time of a turn with `observability.otel` / of the same without.

Spans are sent as often as nobody says otherwise: every 512 turns, or after 5 seconds. A collector
of this process counts them, and a round ends when it has all three of each turn, so what the
server spends in the thread that sends them counts too.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from loadtests.bench.candidates import MEMORY, runner, runner_on_uvicorn, serving, sqlite
from loadtests.bench.client import drive, request
from loadtests.bench.cost import CONNECTIONS, cpu_time, interleaved
from loadtests.bench.figures import ratios, show, show_micros, title
from loadtests.runs.servers import Served
from runner.telemetry.sender import AT_ONCE

AGENT = "ok_with_history"
TRACED = ", traced"

SPANS = 3
"""Of a turn."""

PATIENCE_S = 20.0


class _Collector:
    """Use it with `with`; counts the spans that it is sent."""

    def __init__(self) -> None:
        self._spans = 0
        self._news = threading.Condition()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True

    @contextmanager
    def running(self) -> Iterator[str]:
        """Gives the URL."""
        with self._server as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            yield f"http://127.0.0.1:{server.server_port}"
            server.shutdown()

    def take(self, body: bytes) -> None:
        told = ExportTraceServiceRequest.FromString(body)
        with self._news:
            self._spans += sum(
                len(scope.spans) for one in told.resource_spans for scope in one.scope_spans
            )
            self._news.notify()

    def wait(self, spans: int) -> None:
        """Until there are so many more than when this was last waited for."""
        with self._news:
            assert self._news.wait_for(lambda: self._spans >= spans, PATIENCE_S), self._spans
            self._spans -= spans

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        collector = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                collector.take(self.rfile.read(int(self.headers["content-length"])))
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Nobody reads them."""

        return Handler


def measure(quick: bool) -> None:
    rounds, turns = (7, AT_ONCE) if quick else (9, 2 * AT_ONCE)
    collector = _Collector()
    with collector.running() as url:
        otel = f"observability.otel={url}"
        plain = {
            "memory": runner(AGENT, MEMORY),
            "SQLite": runner(AGENT, sqlite("plain")),
            "uvicorn": runner_on_uvicorn(AGENT),
        }
        traced = {
            f"memory{TRACED}": runner(AGENT, MEMORY, otel),
            f"SQLite{TRACED}": runner(AGENT, sqlite("traced"), otel),
            f"uvicorn{TRACED}": runner_on_uvicorn(AGENT, otel),
        }
        with serving(plain | traced) as served:
            asking = {
                name: _asking(served[name], turns, collector if name in traced else None)
                for name in sorted(served)
            }
            cpu = interleaved(asking, rounds)
    title("CPU time of the server for a turn, traced / not", rounds)
    for name in plain:
        show(name, ratios(cpu[name + TRACED], cpu[name]), "aim 1.1")
    show_micros("CPU time of a turn", cpu)


def _asking(served: Served, turns: int, collector: _Collector | None) -> Callable[[int], float]:
    def ask(number: int) -> float:
        requests = _requests(number, turns)
        before_s = cpu_time(served.process.pid)
        asyncio.run(drive(served.port, requests))
        if collector is not None:
            collector.wait(SPANS * turns)
        return (cpu_time(served.process.pid) - before_s) / turns

    return ask


def _requests(number: int, turns: int) -> Sequence[Sequence[bytes]]:
    each = turns // CONNECTIONS
    return [[request("hello", f"{number}-{one}")] * each for one in range(CONNECTIONS)]

"""What spans cost: the CPU time of a turn with `observability.otel` / of the same without.

A collector of this process takes the spans. What the server spends in the thread that sends
them counts too: each round waits until they are sent.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from loadtests.bench.candidates import MEMORY, runner, runner_on_uvicorn, serving, sqlite
from loadtests.bench.client import drive, request
from loadtests.bench.cost import CONNECTIONS, cpu_time, interleaved
from loadtests.bench.figures import ratios, show, show_micros, title
from loadtests.runs.servers import Served

AGENT = "ok_with_history"
TRACED = ", traced"

SEND_MS = 200
"""Between two times that the server sends spans; 5 seconds where nothing is said."""


class _Collector(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Nobody reads them."""


@contextmanager
def _collector() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Collector) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def measure(quick: bool) -> None:
    rounds, turns = (7, 240) if quick else (9, 960)
    os.environ["OTEL_BSP_SCHEDULE_DELAY"] = str(SEND_MS)
    with _collector() as url:
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
            asking = {name: _asking(served[name], turns) for name in sorted(served)}
            cpu = interleaved(asking, rounds)
    title("CPU time of the server for a turn, traced / not", rounds)
    for name in plain:
        show(name, ratios(cpu[name + TRACED], cpu[name]), "aim 1.1")
    show_micros("CPU time of a turn", cpu)


def _asking(served: Served, turns: int) -> Callable[[int], float]:
    def ask(number: int) -> float:
        requests = _requests(number, turns)
        before_s = cpu_time(served.process.pid)
        asyncio.run(drive(served.port, requests))
        time.sleep(2.5 * SEND_MS / 1000)
        return (cpu_time(served.process.pid) - before_s) / turns

    return ask


def _requests(number: int, turns: int) -> Sequence[Sequence[bytes]]:
    each = turns // CONNECTIONS
    return [[request("hello", f"{number}-{one}")] * each for one in range(CONNECTIONS)]

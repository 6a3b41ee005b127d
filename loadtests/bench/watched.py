"""What it costs that somebody looks: turns per second with the page open, beside 1,000 that wait.

One server. The turns wait behind one of `default` that is held up; meanwhile 16 clients ask turns
in 16 other conversations, in turn with a reader of `GET /view` and without one.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress

from loadtests.bench.candidates import MEMORY, runner, serving
from loadtests.bench.client import BODY_FOLLOWS, post, request
from loadtests.bench.cost import CONNECTIONS, Cost, cost, interleaved
from loadtests.bench.figures import ratios, show, title
from loadtests.runs.servers import Served

WAITING = 1_000
LOOK = b"GET /view HTTP/1.1\r\nhost: localhost\r\naccept: text/event-stream\r\n\r\n"
ROOM = ("strategy.max_waiting=2000", "strategy.max_waiting_per_conversation=2000")


def measure(quick: bool) -> None:
    rounds, turns = (3, 800) if quick else (9, 3_200)
    title(f"With the page open, {WAITING:,} turns waiting", rounds)
    with serving({"runner": runner("ok_unless_held", MEMORY, *ROOM)}) as all_served:
        served = all_served["runner"]
        asyncio.run(_hold(served.port))
        candidates = {
            "nobody looks": _asking(served, turns, 0),
            "one looks": _asking(served, turns, 1),
            "ten look": _asking(served, turns, 10),
        }
        costs = interleaved(candidates, rounds)
    for name in ("one looks", "ten look"):
        walls = [each.wall_s for each in costs["nobody looks"]], [e.wall_s for e in costs[name]]
        show(f"turns per second: {name} / nobody looks", ratios(*walls), "at least 0.95")
        cpus = [each.cpu_s for each in costs[name]], [e.cpu_s for e in costs["nobody looks"]]
        show(f"CPU time of a turn: {name} / nobody looks", ratios(*cpus), "")


async def _hold(port: int) -> None:
    """One turn that does not end, and behind it those that wait."""
    held = post("/chat", {"message": "hold"}, prefer="respond-async")
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for _ in range(WAITING + 1):
        writer.write(held)
        head = await reader.readuntil(BODY_FOLLOWS)
        assert head.startswith(b"HTTP/1.1 202"), head
        _, _, length = head.lower().partition(b"content-length: ")
        await reader.readexactly(int(length.partition(b"\r\n")[0]))
    writer.close()


def _asking(served: Served, turns: int, viewers: int) -> Callable[[int], Cost]:
    each = turns // CONNECTIONS

    def ask(number: int) -> Cost:
        asked = [[request("hello", f"c{client}")] * each for client in range(CONNECTIONS)]
        with ExitStack() as looking:
            for _ in range(viewers):
                looking.enter_context(_looking(served.port))
            return cost(served, asked)

    return ask


@contextmanager
def _looking(port: int) -> Iterator[None]:
    """A reader that takes all it is sent, in a thread, so that the clients' loop does nothing."""
    with socket.create_connection(("127.0.0.1", port)) as reader:
        reader.sendall(LOOK)
        head = reader.recv(65_536)
        assert head.startswith(b"HTTP/1.1 200"), head
        thread = threading.Thread(target=_read_all, args=(reader,))
        thread.start()
        try:
            yield
        finally:
            reader.shutdown(socket.SHUT_RDWR)
            thread.join()


def _read_all(reader: socket.socket) -> None:
    with suppress(ConnectionResetError):
        while reader.recv(65_536):
            pass

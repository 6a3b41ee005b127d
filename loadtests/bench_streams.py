"""What event streams cost, and when the first piece arrives; run by `loadtests.bench`."""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

from loadtests.servers import running

PIECES = 10
CONNECTIONS = 16
Show = Callable[[str, str, Sequence[float]], None]


async def speaker(message: str) -> AsyncIterator[str]:
    """Ten pieces, each after as many seconds as the message says."""
    pause_s = float(message)
    for number in range(PIECES):
        await asyncio.sleep(pause_s)
        yield f"piece {number} "


def measure_streams(rounds: int, turns: int, show: Show) -> None:
    arguments = ("runner", "serve", "loadtests.bench_streams:speaker", "--port", "0")
    more = ("--log", "json", "--store", "memory:", "--set", "strategy.max_running=16")
    with tempfile.TemporaryDirectory() as folder:
        with running((*arguments, *more), Path(folder)) as server:
            for pause_s, aim in ((0.005, "at least 0.9"), (0.0, "(nothing but overhead)")):
                ratios = [
                    _rate(server.port, pause_s, turns, True)
                    / _rate(server.port, pause_s, turns, False)
                    for _ in range(rounds)
                ]
                words = f"turns/s: streamed / plain, {PIECES} pieces, {1000 * pause_s:g} ms each"
                show(words, aim, ratios)
            _measure_first_piece(rounds, server.port, show)


def _rate(port: int, pause_s: float, turns: int, streamed: bool) -> float:
    """Turns per second over several connections, a conversation each."""
    each = turns // CONNECTIONS

    async def all_clients() -> None:
        clients = [_client(port, f"c{n}", pause_s, each, streamed) for n in range(CONNECTIONS)]
        await asyncio.gather(*clients)

    began = time.perf_counter()
    asyncio.run(all_clients())
    return each * CONNECTIONS / (time.perf_counter() - began)


async def _client(port: int, conversation: str, pause_s: float, turns: int, streamed: bool) -> None:
    request = _request(conversation, pause_s, streamed)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for _ in range(turns):
        writer.write(request)
        if streamed:
            await reader.readuntil(b"event: done")
            await reader.readuntil(b"\r\n0\r\n\r\n")
        else:
            head = await reader.readuntil(b"\r\n\r\n")
            _, _, rest = head.lower().partition(b"content-length: ")
            await reader.readexactly(int(rest.partition(b"\r\n")[0]))
    writer.close()
    await writer.wait_closed()


def _request(conversation: str, pause_s: float, streamed: bool) -> bytes:
    body = f'{{"message": "{pause_s}", "conversation_id": "{conversation}"}}'.encode()
    accept = "text/event-stream" if streamed else "application/json"
    return (
        b"POST /chat HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\n"
        b"accept: %s\r\ncontent-length: %d\r\n\r\n%s" % (accept.encode(), len(body), body)
    )


# Time to the first piece.


def _measure_first_piece(rounds: int, port: int, show: Show) -> None:
    """An agent that takes 20 ms to its first piece, through the server and alone."""
    pause_s, times = 0.02, 20
    ratios = [
        asyncio.run(_first_through_server(port, pause_s, times))
        / asyncio.run(_first_alone(pause_s, times))
        for _ in range(rounds)
    ]
    show(f"time to first piece ({1000 * pause_s:g} ms): server / agent alone", "", ratios)


async def _first_through_server(port: int, pause_s: float, times: int) -> float:
    found: list[float] = []
    for number in range(times):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        began = time.perf_counter()
        writer.write(_request(f"first{number}", pause_s, streamed=True))
        await reader.readuntil(b"event: delta")
        found.append(time.perf_counter() - began)
        await reader.readuntil(b"event: done")
        writer.close()
        await writer.wait_closed()
    return statistics.median(found)


async def _first_alone(pause_s: float, times: int) -> float:
    found: list[float] = []
    for _ in range(times):
        pieces = speaker(str(pause_s))
        began = time.perf_counter()
        await anext(pieces)
        found.append(time.perf_counter() - began)
        async for _ in pieces:
            pass
    return statistics.median(found)

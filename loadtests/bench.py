"""Speed, as ratios: `python -m loadtests.bench [--quick]`.

Machines are shared and drift, so nothing here is absolute. The candidates of a
comparison run in turn, A B C A B C ..., and each figure is the median of the
rounds' ratios, with the lowest and the highest beside it.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import statistics
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Coroutine, Sequence
from contextlib import ExitStack
from pathlib import Path

from loadtests.bench_streams import measure_streams
from loadtests.servers import running
from strategies import Attempt, Limits, Reply, Ticket, Turn
from strategies.queue import Queue

RUNNER = ("runner", "serve", "loadtests.peers:agent", "--port", "0", "--log", "json")
SERVERS: dict[str, Sequence[str]] = {
    "Quart, bare": ("loadtests.peers", "quart"),
    "runner, memory": (*RUNNER, "--store", "memory:"),
    "runner, SQLite": (*RUNNER, "--store", "sqlite:///bench.db"),
    "FastAPI, lock": ("loadtests.peers", "fastapi"),
    "runner, uvicorn": ("loadtests.peers", "runner"),
}
CONNECTIONS = 16
UNBOUNDED = Limits(
    max_running=1, max_waiting=10**9, max_waiting_per_conversation=10**9, max_wait_s=None
)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="fewer rounds: shows that it works")
    quick = parser.parse_args().quick
    rounds = 3 if quick else 11
    print(f"{'':64}   median   (lowest .. highest of {rounds} rounds)")
    measure_throughput(rounds, requests=400 if quick else 2_000)
    measure_streams(rounds, 320 if quick else 1_600, show)
    measure_hand_over(rounds, turns=1_000 if quick else 5_000)
    measure_cost(rounds)
    measure_memory()


def show(what: str, aim: str, ratios: Sequence[float]) -> None:
    median = statistics.median(ratios)
    print(f"{what:64} {median:8.2f}   ({min(ratios):.2f} .. {max(ratios):.2f})   {aim}", flush=True)


# Turns per second over HTTP.


def measure_throughput(rounds: int, requests: int) -> None:
    """Keep-alive connections, a conversation each, one request after the other on each."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        ports = {
            name: stack.enter_context(running(arguments, folder)).port
            for name, arguments in SERVERS.items()
        }
        rates: dict[str, list[float]] = {name: [] for name in SERVERS}
        for number in range(rounds + 1):
            for name, port in ports.items():
                rate = asyncio.run(load(port, requests))
                if number:  # The first round warms up.
                    rates[name].append(rate)

    def ratios(one: str, other: str) -> list[float]:
        return [a / b for a, b in zip(rates[one], rates[other], strict=True)]

    show(
        "turns/s: runner (memory) / bare Quart",
        "at least 0.7, aim 0.9",
        ratios("runner, memory", "Quart, bare"),
    )
    show(
        "turns/s: runner (SQLite) / runner (memory)", "", ratios("runner, SQLite", "runner, memory")
    )
    show(
        "turns/s: runner (memory) / FastAPI, uvicorn, lock",
        "",
        ratios("runner, memory", "FastAPI, lock"),
    )
    show(
        "turns/s: runner on uvicorn (memory) / FastAPI, uvicorn, lock",
        "",
        ratios("runner, uvicorn", "FastAPI, lock"),
    )
    show("turns/s: bare Quart / FastAPI, uvicorn, lock", "", ratios("Quart, bare", "FastAPI, lock"))


async def load(port: int, requests: int) -> float:
    """Requests per second, over `CONNECTIONS` connections."""
    each = requests // CONNECTIONS
    began = time.perf_counter()
    await asyncio.gather(*(_client(port, f"c{number}", each) for number in range(CONNECTIONS)))
    return each * CONNECTIONS / (time.perf_counter() - began)


async def _client(port: int, conversation: str, requests: int) -> None:
    body = f'{{"message": "hello", "conversation_id": "{conversation}"}}'.encode()
    request = (
        b"POST /chat HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\n"
        b"content-length: %d\r\n\r\n%s" % (len(body), body)
    )
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for _ in range(requests):
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(head.decode())
        _, _, rest = head.lower().partition(b"content-length: ")
        await reader.readexactly(int(rest.partition(b"\r\n")[0]))
    writer.close()
    await writer.wait_closed()


# From the end of a turn to the start of the next of its conversation.


def measure_hand_over(rounds: int, turns: int) -> None:
    gaps: dict[str, list[float]] = {"queue": [], "task": [], "inline": []}
    for _ in range(rounds):
        gaps["queue"].append(asyncio.run(_gap_of_strategy(turns)))
        gaps["task"].append(asyncio.run(_gap_of_worker(turns, _in_a_task)))
        gaps["inline"].append(asyncio.run(_gap_of_worker(turns, _inline)))
    for name, words in (("task", "a task for each turn"), ("inline", "turns in the worker itself")):
        ratios = [a / b for a, b in zip(gaps["queue"], gaps[name], strict=True)]
        aim = "at most 2" if name == "task" else "(unsafe: a cancelled turn ends the worker)"
        show(f"hand-over: queue / asyncio.Queue, {words}", aim, ratios)


class _Gaps:
    """An agent that notes when it ended and when it was next called."""

    def __init__(self) -> None:
        self.gaps: list[float] = []
        self.ended = 0.0

    async def work(self) -> None:
        if self.ended:
            self.gaps.append(time.perf_counter() - self.ended)
        await asyncio.sleep(0)
        self.ended = time.perf_counter()

    @property
    def median(self) -> float:
        return statistics.median(self.gaps)


async def _gap_of_strategy(turns: int) -> float:
    gaps = _Gaps()

    async def answer(turn: Turn, attempt: Attempt) -> Reply:
        await gaps.work()
        return Reply("ok")

    queue = Queue(answer, UNBOUNDED)
    tickets = [queue.submit(Turn(str(number), "c", "hello")) for number in range(turns)]
    await asyncio.gather(*(ticket.reply() for ticket in tickets))
    return gaps.median


async def _gap_of_worker(
    turns: int,
    run: Callable[[Callable[[], Coroutine[None, None, None]]], Coroutine[None, None, None]],
) -> float:
    """The classic: one `asyncio.Queue`, one worker, a future for each request."""
    gaps = _Gaps()
    line: asyncio.Queue[asyncio.Future[str]] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    async def worker() -> None:
        while True:
            future = await line.get()
            await run(gaps.work)
            future.set_result("ok")

    futures = [loop.create_future() for _ in range(turns)]
    for future in futures:
        line.put_nowait(future)
    task = asyncio.create_task(worker())
    await asyncio.gather(*futures)
    task.cancel()
    return gaps.median


async def _inline(work: Callable[[], Coroutine[None, None, None]]) -> None:
    await work()


async def _in_a_task(work: Callable[[], Coroutine[None, None, None]]) -> None:
    """What the strategy does too, for a turn must survive its caller and end at its deadline."""
    async with asyncio.timeout(60):
        await asyncio.create_task(work())


# What one more turn costs when many wait.


def measure_cost(rounds: int) -> None:
    few, many = 1_000, 100_000
    ratios: dict[str, list[float]] = {"submit": [], "cancel": [], "finish": []}
    for _ in range(max(3, rounds // 2)):
        one, other = asyncio.run(_costs(few)), asyncio.run(_costs(many))
        for name, list_ in ratios.items():
            list_.append(other[name] / one[name])
    for name, list_ in ratios.items():
        show(f"{name}: with {many:,} waiting / with {few:,}", "at most 1.3", list_)


class _Crowd:
    """A queue in which so many turns wait, in 1,000 lines; its agent's turns end one by one."""

    def __init__(self) -> None:
        self._gates: list[asyncio.Future[None]] = []
        self._serial = 0
        self.queue = Queue(self._answer, UNBOUNDED)

    async def _answer(self, turn: Turn, attempt: Attempt) -> Reply:
        gate = asyncio.get_running_loop().create_future()
        self._gates.append(gate)
        await gate
        return Reply("ok")

    def submit(self) -> Ticket:
        self._serial += 1
        turn = Turn(str(self._serial), f"c{self._serial % 1_000}", "hello")
        return self.queue.submit(turn)

    async def finish_one(self) -> None:
        """End the turn that runs; return when the next one does."""
        self._gates.pop().set_result(None)
        while not self._gates:
            await asyncio.sleep(0)


async def _costs(waiting: int) -> dict[str, float]:
    """Median seconds of each step, over 200 batches of 5, with so many turns waiting."""
    crowd, batch = _Crowd(), 5
    for _ in range(waiting):
        crowd.submit()
    await asyncio.sleep(0)
    gc.collect()
    gc.disable()
    times: dict[str, list[float]] = {"submit": [], "cancel": [], "finish": []}
    for _ in range(200):
        instants = [time.perf_counter()]
        added = [crowd.submit() for _ in range(2 * batch)]
        instants.append(time.perf_counter())
        for ticket in added[:batch]:
            ticket.cancel()
        instants.append(time.perf_counter())
        for _ in range(batch):
            await crowd.finish_one()
        instants.append(time.perf_counter())
        for list_, began, ended in zip(times.values(), instants, instants[1:], strict=False):
            list_.append(ended - began)
    gc.enable()
    await crowd.queue.drain(0)
    return {name: statistics.median(list_) for name, list_ in times.items()}


# What a waiting turn weighs.


def measure_memory() -> None:
    bytes_each = asyncio.run(_bytes_each(10_000))
    print(
        f"{'bytes for each waiting turn, inside the strategy':64} {bytes_each:8.0f}   at most 2,000"
    )


async def _bytes_each(waiting: int) -> float:
    async def answer(turn: Turn, attempt: Attempt) -> Reply:
        await asyncio.Event().wait()
        return Reply("never")

    queue = Queue(answer, UNBOUNDED)
    turns = [Turn(str(number), f"c{number % 1_000}", "hello") for number in range(waiting)]
    gc.collect()
    tracemalloc.start()
    tickets = [queue.submit(turn) for turn in turns]
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(tickets) == waiting
    drain = asyncio.create_task(queue.drain(0))
    await drain
    return size / waiting


if __name__ == "__main__":
    main()

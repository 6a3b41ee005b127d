"""What an agent's own tasks and callbacks raise ends at most its turn, and never the server."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.support import client
from tests.support.server import Server

AGENT = """
import asyncio

go_on = asyncio.Event()

async def agent(message, history):
    loop = asyncio.get_running_loop()
    if message == "child exits":
        await asyncio.gather(leave())
    if message == "child is interrupted":
        await asyncio.gather(interrupt())
    if message == "callback exits":
        loop.call_soon(exit, 4)
    if message == "loop stops":
        loop.stop()
    if message.startswith("cancels"):
        for task in asyncio.all_tasks():
            if message == "cancels all" or task is not asyncio.current_task():
                task.cancel()
    if message == "waits":
        await go_on.wait()
    if message == "next":
        go_on.set()
    await asyncio.sleep(0.05)
    return message

async def leave():
    raise SystemExit(4)

async def interrupt():
    raise KeyboardInterrupt
"""


@pytest.mark.parametrize(
    ("message", "status"),
    [
        ("child exits", 502),
        ("child is interrupted", 502),
        ("callback exits", 200),
        ("loop stops", 200),
        ("cancels all", 200),
        ("cancels others", 200),
    ],
)
def test_what_ends_the_loop_ends_no_other_turn_and_not_the_server(
    folder: Path, message: str, status: int
) -> None:
    (folder / "ending.py").write_text(AGENT)
    with Server(folder, target="ending:agent") as server:
        with client.send(server.port, client.chat("waits", "another")) as other:
            client.until(lambda: server.health()["running"] == 1, "the other turn runs")
            assert server.chat(message).status == status
            assert server.chat("next").status == 200
            assert client.receive(other).status == 200
        server.signal(signal.SIGTERM)
        assert server.wait() == 0

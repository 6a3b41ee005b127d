"""The app runs unchanged under other ASGI servers: only `runner/server/` knows which."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.client import PATIENCE_S, Answer, chat, connect, receive, request, send, until
from tests.support.events import Stream, text_of
from tests.support.server import ROOT

COMMANDS = {
    "uvicorn": ["-m", "uvicorn", "--factory", "runner.__main__:make_asgi_app", "--port"],
    "granian": ["-m", "granian", "--interface", "asgi", "--factory",
                "runner.__main__:make_asgi_app", "--port"],
}  # fmt: skip


def free_port() -> int:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def answers(port: int) -> bool:
    try:
        with connect(port):
            return request(port, "GET", "/health/ready").status == 200
    except OSError:
        return False


@pytest.mark.parametrize("name", COMMANDS)
def test_the_app_runs_unchanged_under_another_server(tmp_path: Path, name: str) -> None:
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, *COMMANDS[name], str(port)],
        cwd=tmp_path,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "RUNNER_AGENT": "tests.support.agents:echo",
            "RUNNER_STORE": "sqlite:///other.db",
        },
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        until(lambda: answers(port), f"{name} serves", PATIENCE_S)
        _check(port, tmp_path)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _check(port: int, folder: Path) -> None:
    def ask(message: str) -> Answer:
        with send(port, chat(message)) as connection:
            return receive(connection)

    assert ask("one").json["turn"] == 1
    assert ask("raise Exception").status == 502
    with send(port, chat("until left")) as running:
        # A server with several threads may read the later connection first.
        until(lambda: _health(port)["running"] == 1, "it runs")
        with send(port, chat("left")):
            until(lambda: _health(port)["queue_depth"] == 1, "it waits")
        until(
            lambda: _health(port)["queue_depth"] == 0, "a departed client's turn gives up its place"
        )
        (folder / "left").touch()
        assert receive(running).status == 200
    assert ask("three").json["turn"] == 3
    with Stream(port, "four") as stream:
        events = stream.rest()
    assert events[-1].data["turn"] == 4
    with Stream(port, turn=events[-1].data["turn_id"], after=events[1].id) as again:
        assert text_of(again.rest()) == events[-1].data["response"]
    later = request(port, "POST", "/chat", {"message": "five"}, {"prefer": "respond-async"})
    assert later.status == 202
    place = later.headers["location"]
    until(lambda: request(port, "GET", place).json["state"] == "answered", "it is answered")


def _health(port: int) -> Any:
    return request(port, "GET", "/health").json

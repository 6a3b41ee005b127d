"""A real `runner serve` process, on a free port, in a folder of its own."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import psutil

from runner.agents.base import Message
from tests.support.client import LIMIT_S, PATIENCE_S, Answer, request, until
from tests.support.forked import CAN_FORK, Forked, Template

Knobs = dict[str, Any]
"""Settings to hand on as `**knobs`: TABLE__KEY and its value."""

ROOT = Path(__file__).parents[2]
PURE = Path(__file__).parent / "pure"
"""Without httptools and uvloop."""


class Server:
    """Start it with `with`; whatever happens inside, it is gone afterwards."""

    http = "hypercorn"
    """What carries HTTP: hypercorn, uvicorn or pure-uvicorn; the fixture `http` sets it."""

    forks = CAN_FORK
    """Whether one may be forked from a template that has imported everything."""

    packages: Path | None = None
    """A folder with packages that are installed besides."""

    def __init__(
        self,
        folder: Path,
        *arguments: str,
        target: str = "tests.support.agents:echo",
        **knobs: object,
    ) -> None:
        self.folder = folder
        self.arguments = arguments
        self.target = target
        self.knobs = knobs
        self.port = 0
        self.log = ""
        self.output = ""
        self._serves = False
        self._process: subprocess.Popen[str] | Forked | None = None
        self._readers: list[threading.Thread] = []

    def start(self) -> Self:
        """Start, or start again, and wait until it says where it serves."""
        announced = self.launch()
        if not announced.wait(PATIENCE_S) or not self._serves:
            self.kill()
            raise AssertionError(f"the server did not start:\n{self.output}\n{self.log}")
        return self

    def fail(self) -> tuple[int, str]:
        """Start where that cannot succeed: the exit status, and what was said."""
        try:
            self.launch()
            return self.wait(), self.output + self.log
        finally:
            self.kill()

    def launch(self) -> threading.Event:
        """Start; the event tells when it serves or has ended."""
        self.kill()
        arguments = ["serve", self.target, "--port", str(self.port), "--log", "json"]
        arguments += self.arguments
        for name, value in {"server__http": self._library, **self.knobs}.items():
            table, _, key = name.partition("__")
            arguments += ["--set", f"{table}.{key}={_text(value)}"]
        self._serves = False
        self._process = self._started(arguments)
        announced = threading.Event()
        self._readers = [
            threading.Thread(target=self._read_output, args=(announced,), daemon=True),
            threading.Thread(target=self._read_log, daemon=True),
        ]
        for reader in self._readers:
            reader.start()
        return announced

    def _started(self, arguments: list[str]) -> subprocess.Popen[str] | Forked:
        pure = PURE if self.http.startswith("pure-") else None
        path = os.pathsep.join(str(one) for one in (self.packages, pure, ROOT) if one is not None)
        environment = {**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"}
        environment.pop("RUNNER_TEST_POSTGRES", None)  # It is for the tests, and no setting.
        environment["TURNLINE_TEST_CALLS"] = str(self.folder / "calls")
        if self.forks and self.packages is None:
            template = Template.of(self._library, path)
            if template.can_make(self.folder, environment):
                return template.make(self.folder, arguments, environment)
        return subprocess.Popen(
            [sys.executable, "-m", "runner", *arguments],
            cwd=self.folder,
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exc_info: object) -> None:
        self.kill()

    @property
    def _library(self) -> str:
        return self.http.removeprefix("pure-")

    @property
    def is_forked(self) -> bool:
        return isinstance(self._process, Forked)

    # What it is told.

    def let_on(self, file: str) -> None:
        """End the turns whose message says `until FILE`."""
        (self.folder / file).touch()

    def signal(self, number: int, *, group: bool = False) -> None:
        assert self._process is not None
        if group:
            os.killpg(self._process.pid, number)
        else:
            self._process.send_signal(number)

    def wait(self, timeout_s: float = LIMIT_S) -> int:
        """The exit status, once all is read that it said."""
        status = self.status(timeout_s)
        for reader in self._readers:
            reader.join(5.0)
        return status

    def status(self, timeout_s: float = LIMIT_S) -> int:
        """The exit status, though its children may still hold its pipes."""
        assert self._process is not None
        return self._process.wait(timeout_s)

    def stop(self) -> int:
        self.signal(signal.SIGTERM)
        return self.wait()

    def kill(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
        if self._process is not None:
            self._process.wait(10.0)
            for reader in self._readers:
                reader.join(5.0)
            for stream in (self._process.stdout, self._process.stderr):
                if stream is not None:
                    stream.close()
            self._process = None

    # What it says.

    def request(
        self,
        method: str,
        path: str,
        content: object = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = LIMIT_S,
    ) -> Answer:
        return request(self.port, method, path, content, headers, timeout_s)

    def chat(self, message: str, conversation: str = "default", **headers: str) -> Answer:
        content = {"message": message, "conversation_id": conversation}
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.request("POST", "/chat", content, named)

    def ask(self, message: str, conversation: str = "default", **headers: str) -> str:
        """The id of a turn that was accepted to run in the background."""
        answer = self.chat(message, conversation, **{"prefer": "respond-async", **headers})
        assert answer.status == 202, answer
        return str(answer.json["turn_id"])

    def turn(self, turn_id: str) -> dict[str, Any]:
        answer = self.request("GET", f"/turns/{turn_id}")
        assert answer.status == 200, answer
        shown: dict[str, Any] = answer.json
        return shown

    def turn_of(self, conversation: str) -> dict[str, Any]:
        """The turn that runs in the conversation."""
        answer = self.request("GET", f"/conversations/{conversation}")
        assert answer.status == 200, answer
        return self.turn(answer.json["running"]["turn_id"])

    def until_ended(self, turn_id: str) -> dict[str, Any]:
        until(lambda: self.turn(turn_id)["state"] not in ("waiting", "running"), "the turn ends")
        return self.turn(turn_id)

    def cancel(self, turn_id: str) -> Answer:
        return self.request("DELETE", f"/turns/{turn_id}")

    def health(self) -> dict[str, Any]:
        shown: dict[str, Any] = self.request("GET", "/health").json
        return shown

    def history(self, conversation: str = "default") -> list[Message]:
        answer = self.request("GET", f"/history?count=0&conversation_id={conversation}")
        messages: list[Message] = answer.json["messages"]
        return messages

    def calls(self) -> list[str]:
        """What the test agents noted: `began MESSAGE` and `ended MESSAGE`, in order."""
        noted = self.folder / "calls"
        return noted.read_text().splitlines() if noted.exists() else []

    def until_called(self, message: str) -> None:
        until(lambda: f"began {message}" in self.calls(), f"the agent is called for {message!r}")

    def until_depth(self, depth: int) -> None:
        until(lambda: self.health()["queue_depth"] == depth, f"{depth} turns wait")

    def until_quiet(self) -> None:
        """Until nothing waits and nothing runs."""
        until(self._is_quiet, "nothing waits and nothing runs")

    def until_closed(self, port: int, limit_s: float = LIMIT_S) -> None:
        """Until the server has closed its end of the connection from this port."""
        until(lambda: not self._holds(port), "the connection is closed", limit_s)

    def _holds(self, port: int) -> bool:
        return any(c.raddr and c.raddr.port == port for c in self.process.net_connections())

    def _is_quiet(self) -> bool:
        health = self.health()
        return not health["queue_depth"] and not health["processing"]

    @property
    def process(self) -> psutil.Process:
        assert self._process is not None
        return psutil.Process(self._process.pid)

    @property
    def heaviest(self) -> int:
        """The most memory that it ever had, in bytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) * 1024

    @property
    def logged(self) -> list[dict[str, Any]]:
        """The log, a line each; lines that are not JSON are given as {"text": ...}."""
        return [_parse(line) for line in self.log.splitlines()]

    def _read_output(self, announced: threading.Event) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.output += line
            if match := re.search(r"https?://[^\s/]+:(\d+)", line):
                self.port = int(match[1])
                self._serves = True
                announced.set()
        announced.set()

    def _read_log(self) -> None:
        assert self._process is not None
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self.log += line


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _parse(line: str) -> dict[str, Any]:
    try:
        parsed: dict[str, Any] = json.loads(line)
    except ValueError:
        return {"text": line}
    return parsed

"""The probe's servers: each a process of its own, which may be killed and started again."""

from __future__ import annotations

import json
import select
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from loadtests.probe.client import Client
from runner import start

START_S = 300.0
"""To import an agent may take long, and to load its model too."""

STOP_S = 5.0
DIES_S = 2.0
"""A process whose connections broke has ended by then, or does not."""


class NotServed(Exception):
    """The process ended before it served; with its exit status, and what it said on stderr."""

    def __init__(self, status: int, said: str) -> None:
        super().__init__(said)
        self.status, self.said = status, said


@dataclass(frozen=True, slots=True)
class Facts:
    """What the server took the agent for."""

    kind: str
    single_conversation: bool
    loses: tuple[str, ...]


class Server:
    """With `with`: whatever happens inside, it is gone afterwards.

    words    options of `runner serve`, the user's.
    limit_s  how long a turn may take.
    """

    def __init__(
        self, target: str, strategy: str, folder: Path, words: Sequence[str], limit_s: float
    ) -> None:
        self._limit_s = limit_s
        self._errors = folder / "errors.log"
        settings = {
            "agent.target": target,
            "agent.turn_timeout_s": f"{limit_s:g}",
            "agent.expose_agent_errors": "true",
            "strategy.name": strategy,
            "strategy.per_turn": "[]",
            "server.host": "127.0.0.1",
            "server.port": "0",
            "server.tokens": "[]",
            "server.drain_s": "0",
            "server.idle_shutdown_s": "none",
            "store.url": f"sqlite:///{folder / 'probe.db'}",
            "observability.log": "json",
        }
        ours = [word for item in settings.items() for word in ("--set", "=".join(item))]
        self._command = start.command("loadtests.probe.served", *words, *ours)
        self._process: subprocess.Popen[str] | None = None
        self.client: Client
        self.facts: Facts

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._process is None:
            return
        self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_S)
        self.kill()

    def start(self) -> None:
        """Start, or start again over the same store, until it serves. Raises NotServed."""
        with self._errors.open("a") as errors:
            self._process = subprocess.Popen(
                self._command, stdout=subprocess.PIPE, stderr=errors, text=True
            )
        assert self._process.stdout is not None
        heard, _, _ = select.select([self._process.stdout], [], [], START_S)
        line = self._process.stdout.readline() if heard else ""
        if not line:
            self._not_served(in_time=bool(heard))
        told = json.loads(line)
        self.client = Client(told["url"], self._limit_s)
        self.facts = Facts(told["kind"], told["single_conversation"], tuple(told["loses"]))

    def start_if_down(self) -> None:
        """Raises NotServed."""
        if self._process is None or self._process.poll() is not None:
            self.kill()
            self.start()

    def _not_served(self, *, in_time: bool) -> None:
        assert self._process is not None
        if not in_time:
            self._process.kill()
        status = self._process.wait()
        said = self._said() if in_time else f"Error: it did not serve within {START_S:g} s"
        self.kill()
        raise NotServed(status, said)

    def kill(self) -> None:
        """As kill -9 does; twice does no harm."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            if self._process.stdout is not None:
                self._process.stdout.close()
            self._process = None

    def how_it_died(self) -> str:
        """In words; "" for a process that lives."""
        assert self._process is not None
        try:
            status = self._process.wait(DIES_S)
        except subprocess.TimeoutExpired:
            return ""
        how = f"by signal {signal.Signals(-status).name}" if status < 0 else f"with status {status}"
        lines = self._said().splitlines()
        worst = [line for line in lines if line.startswith("Fatal")] or lines[-1:]
        return ": ".join([f"the process ended {how}", *worst[-1:]])

    def _said(self) -> str:
        """What was said on stderr, but for the server's own log."""
        lines = self._errors.read_text(errors="replace").splitlines()
        return "\n".join(line for line in lines if line.strip() and not line.startswith("{"))

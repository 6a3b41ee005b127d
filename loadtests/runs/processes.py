"""The processes that serve one run: a single one, or several that share a database."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import quote
from urllib.request import urlopen

from loadtests.measures.records import History
from loadtests.runs.servers import Served, running
from loadtests.simulation.simulate import summary

SLACK_S = 60.0
"""What should be over, and takes so much longer, has failed."""


class RunFailed(RuntimeError):
    """A server or the generator did not do its part; the message says which and why."""


class Processes:
    """So many servers of one command, in one folder; `start` them, and `end` them.

    Whatever still runs is stopped where the stack ends.
    """

    def __init__(self, command: Sequence[str], count: int, folder: Path, stack: ExitStack) -> None:
        self._command, self._count, self._folder = command, count, folder
        self._stack = stack
        self._served: list[Served] = []

    def start(self) -> None:
        """Raises RunFailed."""
        errors = self._stack.enter_context((self._folder / "errors.log").open("a+"))
        try:
            for _ in range(self._count):
                server = running(self._command, self._folder, errors=errors)
                self._served.append(self._stack.enter_context(server))
        except RuntimeError as error:
            errors.seek(0)
            raise RunFailed(f"{error}\n{errors.read()[-2000:]}") from error

    @property
    def urls(self) -> list[str]:
        return [f"http://127.0.0.1:{served.port}" for served in self._served]

    def are_settled(self) -> bool:
        """Whether all turns have ended soon, and the counters of each add up (I-9)."""
        until = time.monotonic() + SLACK_S
        return all(_is_settled(url, until) for url in self.urls)

    def histories(self, conversations: Sequence[str], *, chain: bool) -> Iterator[History]:
        """As each process in turn has them: what names a turn is its number."""
        for place, conversation in enumerate(conversations):
            path = f"/history?count=0&conversation_id={quote(conversation)}"
            messages = _get(self.urls[place % self._count] + path)["messages"]
            yield summary(conversation, messages, chain=chain)

    def end(self) -> int:
        """The exit status, 0 if that of all is. Raises RunFailed."""
        for served in self._served:
            served.process.send_signal(signal.SIGTERM)
        try:
            statuses = [served.process.wait(SLACK_S) for served in self._served]
        except subprocess.TimeoutExpired:
            raise RunFailed("a server did not end") from None
        return next(filter(None, statuses), 0)


def _is_settled(url: str, until: float) -> bool:
    while True:
        health = _get(f"{url}/health")
        counts = dict(health["turns"])
        accepted = counts.pop("accepted")
        counts.pop("refused_at_once")
        open_now = health["queue_depth"] + health["running"]
        if not open_now or time.monotonic() > until:
            return bool(not open_now and accepted == sum(counts.values()))
        time.sleep(0.05)


def _get(url: str) -> dict[str, Any]:
    with urlopen(url, timeout=30) as response:
        return json.loads(response.read())  # type: ignore[no-any-return]

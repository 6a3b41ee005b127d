"""Several `runner serve` processes over one Postgres, in one folder."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from tests.support.client import until
from tests.support.server import Server

AGENT = "tests.support.agents:by_process"


class Cluster:
    """Use it with `with`; it is a list of its servers."""

    def __init__(
        self, folder: Path, url: str, count: int = 3, target: str = AGENT, **knobs: object
    ) -> None:
        named = {"store__url": url, "store__lease_s": 2, **knobs}
        self.servers = [Server(folder, target=target, **named) for _ in range(count)]
        self.folder = folder
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            for server in self.servers:
                stack.enter_context(server)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._stack.close()

    def __getitem__(self, place: int) -> Server:
        return self.servers[place]

    def let_on(self, file: str) -> None:
        (self.folder / file).touch()

    def calls(self) -> list[str]:
        return self.servers[0].calls()

    def until_called(self, message: str, times: int = 1) -> Server:
        """The server in which the agent was called for it last."""
        began = f"began {message} in "

        def found() -> list[str]:
            return [call for call in self.calls() if call.startswith(began)]

        until(lambda: len(found()) >= times, f"the agent is called for {message!r}")
        pid = int(found()[-1].removeprefix(began).split()[0])
        return next(server for server in self.servers if server.process.pid == pid)

    def others(self, *some: Server) -> list[Server]:
        return [server for server in self.servers if server not in some]


def process_of(reply: str) -> int:
    """Where a reply of AGENT comes from."""
    return int(json.JSONDecoder().raw_decode(reply)[0]["process"])


def attempt_of(reply: str) -> int:
    return int(json.JSONDecoder().raw_decode(reply)[0]["attempt"])

"""Everything is run with `Client` and with `AsyncClient`."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any, cast

import pytest

from tests.support.blocking import Blocking
from tests.support.scripted import Scripted
from tests.support.server import Server
from turnline import Client

Connect = Callable[..., Client]


@pytest.fixture(params=["sync", "async"])
def connect(request: pytest.FixtureRequest) -> Iterator[Connect]:
    """Make a client of a server or of a URL; it is closed after the test."""
    kind: Any = Client if request.param == "sync" else Blocking
    with ExitStack() as opened:

        def make(server: Any, *arguments: Any, **more: Any) -> Client:
            url = server if isinstance(server, str) else url_of(server)
            return cast(Client, opened.enter_context(kind(url, *arguments, **more)))

        yield make


def url_of(server: Any) -> str:
    return f"http://127.0.0.1:{server.port}" if hasattr(server, "port") else str(server.url)


@pytest.fixture
def client(connect: Connect, server: Server) -> Client:
    return connect(server)


@pytest.fixture
def conversation() -> str:
    """One that no other test has."""
    return uuid.uuid4().hex


@pytest.fixture
def scripted() -> Iterator[Scripted]:
    with Scripted() as one:
        yield one


class Meanwhile:
    """Does something in a thread; `result` waits for what came of it."""

    def __init__(self, do: Callable[[], Any]) -> None:
        self._came: Any = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(do,), daemon=True)
        self._thread.start()

    def _run(self, do: Callable[[], Any]) -> None:
        try:
            self._came = do()
        except BaseException as error:
            self._error = error

    @property
    def result(self) -> Any:
        self._thread.join(60)
        if self._error is not None:
            raise self._error
        return self._came

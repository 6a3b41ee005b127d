"""Connections that read, in the thread that asks or in others: no read holds up a write."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from threading import BoundedSemaphore
from typing import Any, TypeVar, cast

import psycopg

from runner.agents.threads import Threads, given
from runner.store.base import StoreUnavailable
from runner.store.postgres.connection import (
    READ_ONLY,
    UNREAD,
    Connection,
    connect,
    is_lost,
    store_errors,
)

T = TypeVar("T")
Step = Callable[[Connection], T]

READERS = 4
"""Connections that read, and threads that do where the caller cannot."""

WAIT_S = 5.0
"""For so long a read waits for a connection."""


class _Pool:
    """Those of one process: a child that was forked neither uses its parent's nor closes them."""

    def __init__(self) -> None:
        self.free = BoundedSemaphore(READERS)
        self.idle: list[Connection] = []


class Readers:
    """Connections are made when they are needed, and kept for the next who reads."""

    def __init__(self, parameters: dict[str, Any]) -> None:
        options = f"{READ_ONLY} {parameters['options']}"
        self._parameters = parameters | {"options": options}
        self._threads = Threads(READERS, "postgres-read")
        self._pools: dict[int, _Pool] = {}
        self.is_open = False

    async def run(self, function: Callable[[], T]) -> T:
        """What the function gives or raises, called in a thread."""
        return cast("T", given(await self._threads.start(function)))

    def read(self, step: Step[T]) -> T:
        """What the step gives, done here. Raises StoreUnavailable."""
        pool = self._pools.setdefault(os.getpid(), _Pool())
        if not self.is_open or not pool.free.acquire(timeout=WAIT_S):
            raise StoreUnavailable(UNREAD)
        try:
            with store_errors():
                return self._read(pool.idle, step)
        finally:
            pool.free.release()

    def close(self) -> None:
        self.is_open = False
        pool = self._pools.pop(os.getpid(), None)
        for connection in pool.idle if pool else ():
            with suppress(psycopg.Error):
                connection.close()

    def _read(self, idle: list[Connection], step: Step[T]) -> T:
        while True:
            try:
                connection, is_new = idle.pop(), False
            except IndexError:
                connection, is_new = connect(self._parameters), True
            try:
                value = step(connection)
            except BaseException as error:
                # One that was idle may have been lost long ago, and others with it.
                is_over = is_new or not is_lost(connection, error)
                connection.close()
                if is_over:
                    raise
                continue
            if self.is_open:
                idle.append(connection)
            else:
                connection.close()
            return value

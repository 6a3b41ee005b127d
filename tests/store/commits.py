"""Commits that share a transaction, for the suites of what is said when it fails."""

from __future__ import annotations

import asyncio
import threading

from runner.store.base import Record, StoreUnavailable
from runner.store.postgres import PostgresStore
from runner.store.sqlite import SqliteStore


def record(name: str) -> Record:
    return Record(name, "c", f"message {name}", f"reply {name}")


async def together(store: PostgresStore | SqliteStore, names: str) -> list[object]:
    """What commits came to that share the second transaction from now on."""
    began, all_stand_in_line = threading.Event(), threading.Event()

    def hold_up(_: object) -> bool:
        began.set()
        return all_stand_in_line.wait(30)

    first = asyncio.ensure_future(store.database.write(hold_up))
    await asyncio.to_thread(began.wait, 30)
    commits = [asyncio.ensure_future(store.commit(record(name))) for name in names]
    await asyncio.sleep(0)
    all_stand_in_line.set()
    results = await asyncio.gather(*commits, return_exceptions=True)
    await first
    return [one.outcome if isinstance(one, StoreUnavailable) else one for one in results]

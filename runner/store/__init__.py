"""What is kept, and where: chosen by a URL in the settings."""

from __future__ import annotations

from pathlib import Path

from runner.store.base import Store
from runner.store.memory import MemoryStore
from runner.store.sqlite import SqliteStore


class UnknownStore(ValueError):
    """Known: sqlite:///FILE (relative to this directory), sqlite:////PATH/FILE, memory:"""


def make_store(url: str, most_turns: int = 1_000_000, most_bytes: int = 2**28) -> Store:
    """The store that the URL names, not opened yet; the bounds are those of one in memory.

    Raises UnknownStore.
    """
    if url == "memory:":
        return MemoryStore(most_turns, most_bytes)
    path = url.removeprefix("sqlite:///")
    if path not in (url, "", ":memory:"):
        return SqliteStore(Path(path))
    scheme = url.partition(":")[0]  # No more of it: what follows may hold a password.
    raise UnknownStore(f"no store is called {scheme!r}, or not like this. {UnknownStore.__doc__}")

"""What is kept, and where: chosen by a URL in the settings."""

from __future__ import annotations

from pathlib import Path

from runner.config.masking import without_secrets
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
    raise UnknownStore(f"{_not_known(url)} {UnknownStore.__doc__}")


def _not_known(url: str) -> str:
    scheme, colon, _ = url.partition(":")
    if colon and scheme != "sqlite":  # No more of it: what follows may hold a password.
        return f"no store is called {scheme}:, or not like this."
    shown = without_secrets(url)
    name = shown.removeprefix("sqlite:").removeprefix("//")
    if name.strip("/:") in ("", "memory", "sqlite"):
        return f"no store is called {shown!r}."
    return f"no store is called {shown!r}; did you mean sqlite:///{name}?"

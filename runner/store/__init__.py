"""What is kept, and where: chosen by a URL in the settings."""

from __future__ import annotations

from pathlib import Path

from runner import extras
from runner.config.masking import without_secrets
from runner.store.base import Store
from runner.store.memory import MemoryStore
from runner.store.sqlite import SqliteStore

POSTGRES = ("postgresql://", "postgres://")


class UnknownStore(ValueError):
    """Known: sqlite:///FILE (sqlite:////PATH/FILE), postgresql://USER@HOST/DATABASE, memory:"""


def make_store(url: str, most_turns: int = 1_000_000, most_bytes: int = 2**28) -> Store:
    """The store that the URL names, not opened yet; the bounds are those of one in memory.

    Raises UnknownStore.
    """
    if url == "memory:":
        return MemoryStore(most_turns, most_bytes)
    if url.startswith(POSTGRES):
        return _postgres(url)
    path = url.removeprefix("sqlite:///")
    if path not in (url, "", ":memory:"):
        return SqliteStore(Path(path))
    raise UnknownStore(f"{_not_known(url)} {UnknownStore.__doc__}")


def _postgres(url: str) -> Store:
    """Its driver is an extra, and is imported only here."""
    if absent := extras.missing("postgres", "psycopg", "procrastinate"):
        raise UnknownStore(f"store.url is of a Postgres server: {absent}")
    try:
        from psycopg import ProgrammingError

        from runner.store.postgres import PostgresStore
    except ImportError as error:  # Without its libpq.
        raise UnknownStore(f"psycopg cannot be imported: {error}") from error
    try:
        return PostgresStore(url)
    except ProgrammingError as error:
        # Its own words may show parts of a password.
        raise UnknownStore(
            f"{without_secrets(url)} is no URL of a Postgres server, such as "
            "postgresql://USER@HOST:5432/DATABASE. A password's special characters are written "
            "as %XX in it; or it stands in a file (passfile) or in PGPASSWORD."
        ) from error


def _not_known(url: str) -> str:
    scheme, colon, _ = url.partition(":")
    if colon and scheme != "sqlite":  # No more of it: what follows may hold a password.
        return f"no store is called {scheme}:, or not like this."
    shown = without_secrets(url)
    name = shown.removeprefix("sqlite:").removeprefix("//")
    if name.strip("/:") in ("", "memory", "sqlite"):
        return f"no store is called {shown!r}."
    return f"no store is called {shown!r}; did you mean sqlite:///{name}?"

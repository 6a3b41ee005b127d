"""What the commands have in common that read or write a store without a server."""

from __future__ import annotations

from runner.cli.flags import UsageError, usage_errors
from runner.store import UnknownStore, make_store
from runner.store.base import IdTaken, Store, StoreUnavailable


def store_at(url: str) -> Store:
    """One that other processes can reach. Raises UsageError."""
    with usage_errors(UnknownStore):
        store = make_store(url)
    if not store.durable:
        raise UsageError(f"{url} is in the memory of its server, where no other program reaches it")
    return store


def counted(conversations: int, turns: int) -> str:
    some = "s" if conversations != 1 else ""
    return f"{conversations} conversation{some} with {turns} turn{'s' if turns != 1 else ''}"


def why(error: Exception) -> str:
    """In a line. Most words of a store are for a client; what lies behind them is not."""
    said, cause = str(error), str(error.__cause__ or "")
    if isinstance(error, StoreUnavailable) and not isinstance(error, IdTaken) and cause not in said:
        said = cause
    return " ".join(said.split())

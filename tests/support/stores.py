"""A store of each kind, for the suites that hold all of them to the same promises."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from runner.store import make_store
from runner.store.base import Store
from tests.support.postgres import drop_schema, new_schema

KINDS = ("memory", "sqlite", "postgres")
DURABLE = ("sqlite", "postgres")


@contextmanager
def new_url(kind: str, folder: Path) -> Generator[str]:
    """Of an empty store."""
    if kind == "memory":
        yield "memory:"
    elif kind == "sqlite":
        yield f"sqlite:///{folder}/kept.db"
    else:
        url = new_schema()
        yield url
        drop_schema(url)


@asynccontextmanager
async def opened(kind: str, folder: Path) -> AsyncGenerator[Store]:
    with new_url(kind, folder) as url:
        store = make_store(url)
        await store.open()
        yield store
        await store.close()

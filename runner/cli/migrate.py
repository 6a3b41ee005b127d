"""`runner migrate`: the tables of the store, and what moves into them."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import click

from runner.cli import flags
from runner.cli.tables import to_json
from runner.store import POSTGRES, UnknownStore, make_store
from runner.store.base import StoreInUse, StoreUnavailable

MOVED = (
    "Moved {conversations} conversations with {turns} turns, and {accepted} accepted turns, of "
    "which {unfinished} are to run. Serve the SQLite file no more: those would run twice."
)


def migrate(url: str, source: str | None, *, as_json: bool) -> None:
    """Raises UsageError for a store that has no tables, ClickException for what fails."""
    with flags.usage_errors(UnknownStore):
        store = make_store(url)
    if not store.durable:
        raise flags.UsageError("memory: has no tables; name a store with --store")
    if not url.startswith(POSTGRES):
        if source is not None:
            raise flags.UsageError("--from moves into Postgres: --store postgresql://...")
        with _failures():
            asyncio.run(_open_once(url))
        flags.say(to_json({"ready": True}) if as_json else "The store is ready.")
        return
    from runner.engine.schema import make_ready
    from runner.store.postgres import moving

    with _failures(moving.NotEmpty, FileNotFoundError):
        moved = None if source is None else asyncio.run(moving.move(_path(source), url))
        version = make_ready(url)
    found = {"ready": True, "schema": version}
    if as_json:
        flags.say(to_json(found if moved is None else found | {"moved": asdict(moved)}))
        return
    if moved is not None:
        flags.say(MOVED.format(**asdict(moved)))
    flags.say(f"The store is ready, with schema {version}.")


async def _open_once(url: str) -> None:
    store = make_store(url)
    await store.open()
    await store.close()


def _path(source: str) -> Path:
    path = source.removeprefix("sqlite:///")
    if path in (source, ""):
        raise flags.UsageError("--from takes sqlite:///FILE")
    return Path(path)


@contextmanager
def _failures(*more: type[Exception]) -> Generator[None]:
    try:
        yield
    except Exception as error:
        if not isinstance(error, (StoreInUse, StoreUnavailable, *more)):
            raise
        raise click.ClickException(str(error)) from error

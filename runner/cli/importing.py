"""What `runner import` does."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

import click

from runner.cli.flags import say
from runner.cli.stores import counted, store_at, why
from runner.cli.tables import to_json
from runner.store.archive import KeptConversation
from runner.store.archive_reader import ArchiveReader, BadFile
from runner.store.base import Store, StoreInUse, StoreUnavailable

BATCH_LINES = 1_000
"""Of conversations that become one transaction; a longer one is one by itself."""

SHOWN = 10
"""Names in a message."""


class AlreadyThere(Exception):
    """Conversations that exist."""

    def __init__(self, names: list[str]) -> None:
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        super().__init__(
            f"in the store already: {', '.join(names[:SHOWN])}{more}. "
            "--skip-existing leaves them alone."
        )


@dataclass(slots=True)
class Imported:
    """What is in the store now."""

    conversations: int = 0
    turns: int = 0
    skipped: list[str] = field(default_factory=list[str])


def import_file(url: str, file: BinaryIO, *, skip_existing: bool, as_json: bool) -> int:
    """Import, and tell what came of it; the exit status. Raises UsageError, ClickException."""
    store, done = store_at(url), Imported()
    try:
        asyncio.run(_import(store, file, done, skip_existing=skip_existing))
    except (BadFile, AlreadyThere, StoreInUse, StoreUnavailable, OSError) as error:
        problem = _problem(error, done)
        if not as_json:
            raise click.ClickException(problem) from error
        line = error.line if isinstance(error, BadFile) else None
        say(to_json({"problem": problem, "line": line, **_as_json(done)}))
        return 1
    if as_json:
        say(to_json(_as_json(done)))
    else:
        skipped = f"; skipped {len(done.skipped)} that exist" if done.skipped else ""
        say(f"imported {counted(done.conversations, done.turns)}{skipped}")
    return 0


async def _import(store: Store, file: BinaryIO, done: Imported, *, skip_existing: bool) -> None:
    """Raises BadFile, AlreadyThere, StoreInUse, StoreUnavailable."""
    start = file.tell() if file.seekable() else None
    reader = _begun(file)
    await store.open()
    try:
        if start is not None:
            await _check(store, reader, skip_existing=skip_existing)
            file.seek(start)
            reader = _begun(file)
        conversations = reader.conversations()
        while (first := next(conversations, None)) is not None:
            await _keep(store, _Batch(reader, first, conversations), done)
            if done.skipped and not skip_existing:
                raise AlreadyThere(done.skipped)
    finally:
        await store.close()


def _begun(file: BinaryIO) -> ArchiveReader:
    reader = ArchiveReader(file)
    reader.begin()
    return reader


async def _check(store: Store, reader: ArchiveReader, *, skip_existing: bool) -> None:
    """Read all of the file. Raises BadFile, AlreadyThere."""
    existing: list[str] = []
    for one in reader.conversations():
        if not skip_existing and await store.turns(one.id):
            existing.append(one.id)
    if existing:
        raise AlreadyThere(existing)


async def _keep(store: Store, batch: _Batch, done: Imported) -> None:
    """All of the batch or nothing of it."""
    try:
        existing = await store.restore(batch)
    except StoreUnavailable as error:
        if isinstance(error.__cause__, BadFile):
            raise error.__cause__ from None
        raise
    done.conversations += len(batch.turns) - len(existing)
    done.turns += sum(batch.turns) - sum(batch.last[name] for name in existing)
    done.skipped += existing


class _Batch:
    """Some conversations, read while they are kept.

    turns  how many each has.
    last   the same by name.
    """

    def __init__(
        self, reader: ArchiveReader, first: KeptConversation, others: Iterator[KeptConversation]
    ) -> None:
        self._reader = reader
        self._first = first
        self._others = others
        self.turns: list[int] = []
        self.last: dict[str, int] = {}

    def __iter__(self) -> Iterator[KeptConversation]:
        until = self._reader.line + BATCH_LINES
        one: KeptConversation | None = self._first
        while one is not None:
            self.turns.append(one.last)
            self.last[one.id] = one.last
            yield one
            one = next(self._others, None) if self._reader.line < until else None


def _problem(error: Exception, done: Imported) -> str:
    if isinstance(error, StoreInUse):
        return f"{error} A server must be stopped before an import, and started again after it."
    so_far = "Nothing was imported."
    if done.conversations:
        number = counted(done.conversations, done.turns)
        so_far = f"Before that {number} were imported; --skip-existing leaves them alone."
    return f"{why(error)} {so_far}"


def _as_json(done: Imported) -> dict[str, object]:
    return {"imported": done.conversations, "turns": done.turns, "skipped": done.skipped}

"""What `runner export` does."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from typing import BinaryIO

import click

from runner.callers import owns, scoped
from runner.cli.flags import tell
from runner.cli.stores import counted, store_at, why
from runner.store.archive import KeptConversation, KeptTurn, Snapshot
from runner.store.archive_lines import beginning, end, header, of_part
from runner.store.base import StoreUnavailable


def export(url: str, names: tuple[str, ...], caller: str | None) -> int:
    """Write them to standard output; the exit status. Raises UsageError, ClickException."""
    store, out = store_at(url), sys.stdout.buffer
    try:
        with store.snapshot() as snapshot:
            summary = _write(out, _chosen(snapshot, names, caller))
            notes = [*_unfinished(snapshot, names, caller)]
        out.flush()
    except StoreUnavailable as error:
        raise click.ClickException(f"the store cannot be read: {why(error)}") from error
    except BrokenPipeError:
        # The reader has left, as `head` does. What is buffered would raise again at the exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())
        return 1
    except OSError as error:
        raise click.ClickException(f"the export cannot be written: {error}") from error
    tell(notes)
    click.echo(f"exported {summary}", err=True)
    return 0


def _chosen(
    snapshot: Snapshot, names: tuple[str, ...], caller: str | None
) -> Iterator[KeptConversation]:
    """Raises ClickException for a name that is not there, before anything is given."""
    if not names:
        for name in snapshot.names():
            if caller is None or owns(caller, name):
                found = snapshot.conversation(name)
                assert found is not None
                yield found
        return
    ids = _ids(names, caller)
    for name in ids:
        if snapshot.conversation(name) is None:
            whose = "" if caller else "; that of a named caller needs --caller"
            raise click.ClickException(f"there is no conversation {name!r}{whose}")
    for name in ids:
        if (found := snapshot.conversation(name)) is not None:
            yield found


def _ids(names: tuple[str, ...], caller: str | None) -> list[str]:
    """Each once."""
    return list(dict.fromkeys(scoped(caller or "", name) for name in names))


def _write(out: BinaryIO, conversations: Iterator[KeptConversation]) -> str:
    """How many they were, in words."""
    one = next(conversations, None)  # Raises before anything is written.
    out.write(header(time.time()))
    number = turns = 0
    while one is not None:
        try:
            out.write(beginning(one))
            for part in one.parts:
                out.write(of_part(part))
                turns += isinstance(part, KeptTurn)
        except ValueError as error:
            what = f"what is kept of {one.id} is no JSON: {error}"
            raise click.ClickException(what) from error
        number += 1
        one = next(conversations, None)
    out.write(end(number, turns))
    return counted(number, turns)


def _unfinished(snapshot: Snapshot, names: tuple[str, ...], caller: str | None) -> Iterator[str]:
    ids = _ids(names, caller)
    left = [
        one
        for one in snapshot.unfinished()
        if (one in ids if names else caller is None or owns(caller, one))
    ]
    if left:
        some = "1 accepted turn has" if len(left) == 1 else f"{len(left)} accepted turns have"
        yield f"{some} not ended, which is not exported: let the server answer first"

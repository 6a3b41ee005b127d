"""`runner compare --store postgresql://... --processes N`: what can be compared so."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import click

from runner import extras
from runner.cli.flags import UsageError
from runner.store import POSTGRES


def check(store: str, processes: int, strategies: Sequence[str]) -> None:
    """Raises UsageError for what cannot be compared over this store; "" is memory."""
    if not store:
        if processes > 1:
            raise UsageError(
                f"{processes} processes need a store that they share, and the memory of one "
                "process is not: name a Postgres server with --store postgresql://..."
            )
        return
    if not store.startswith(POSTGRES):
        raise UsageError(f"--store {store}: a comparison uses memory, or postgresql://...")
    if absent := extras.missing("postgres", "psycopg", "psycopg_pool", "procrastinate"):
        raise UsageError(absent)
    for name in strategies:
        if not _can_share(name):
            raise UsageError(
                f"{name} cannot run over Postgres: what it knows of a conversation stands in the "
                "memory of one process; choose from queue, lock and reject, or leave out --store"
            )


def those(strategies: Sequence[str], store: str) -> tuple[str, ...]:
    """Those of a profile's strategies that can be compared over this store."""
    return tuple(name for name in strategies if not store or _can_share(name))


def _can_share(name: str) -> bool:
    from runner.engine.sharing import CHOICES

    return name in CHOICES


def without_names(words: Sequence[str], store: str) -> list[str]:
    """The command as a report has it: where a server stands and who may use it is nobody's."""
    return [word.replace(store, POSTGRES[0] + "...") if store else word for word in words]


@contextmanager
def told_what_postgres_says() -> Iterator[None]:
    """An error of the server becomes a ClickException."""
    try:
        yield
    except Exception as error:
        psycopg = sys.modules.get("psycopg")  # Where it was not needed, nothing is of it.
        if psycopg is None or not isinstance(error, psycopg.Error):
            raise
        raise click.ClickException(f"the Postgres server: {str(error).strip()}") from error

"""A store with one of everything, what it keeps as others see it, and its export as a file."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

from runner.store.archive import KeptTurn
from runner.store.archive_lines import beginning, end, header, of_part
from runner.store.archive_reader import ArchiveReader
from runner.store.base import AcceptedTurn, AgentState, Ending, Place, Record, Store
from strategies import State
from tests.support import stores

FAILED = Ending(State.FAILED, cause="AgentFailed", detail="x", outcome="rolled_back", ran_s=1.5)
REQUESTS = b'[{"id":"r1","kind":"approval","prompt":"?","name":"rm","arguments":{"path":"x"}}]'
HARD = '\x00 \u2028 \U0001d120 \\ " \n\r'


def turn_id(number: int) -> str:
    return f"{number:032x}"


IDS = [turn_id(number) for number in (*range(1, 10), 11)] + [
    f"{turn_id(9)}.{place}" for place in (1, 2)
]


@asynccontextmanager
async def opened(kind: str, folder: Path, name: str) -> AsyncGenerator[Store]:
    (folder / name).mkdir(exist_ok=True)
    async with stores.opened(kind, folder / name) as store:
        yield store


async def fill(store: Store) -> None:
    """Conversations `a` and `ann/b`, and what waits in `w`."""
    for number in (2, 3, 4):
        key = f"k{number}"
        given = AcceptedTurn(turn_id(number), "a", "m", 1_700_000_000.25, key=key, digest=f"d{key}")
        await store.accept(replace(given, request_id="r", traceparent="00-1", webhook="https://w/"))
    await store.commit(Record(turn_id(1), "a", "question", HARD, output=b'{"x":[1,null,1e+300]}'))
    await store.begin([turn_id(2), turn_id(3)])
    both = (turn_id(2), turn_id(3), turn_id(5))
    waited_s = {turn_id(2): 0.5, turn_id(3): 0.25}
    left = AgentState("own", b'{"n":NaN,"deep":[[]]}', REQUESTS, b"null")
    record = Record(turn_id(2), "a", "m2", "r2", both, waited_s=waited_s, ran_s=2.0, left=left)
    await store.commit(replace(record, said="digest of a"))
    await store.end(turn_id(4), FAILED)
    half = Record(turn_id(6), "a", "m3", "half a", state=State.INTERRUPTED, output=b"null")
    await store.commit(half)
    before = (("who?", "I"), ("why?", HARD))
    begun = Record(turn_id(9), "ann/b", "m", "r", before=before, left=AgentState("b", b"1"))
    await store.commit(replace(begun, said="of b"))
    await store.accept(AcceptedTurn(turn_id(10), "w", "waits", 1_700_000_000.0))


async def seen(store: Store) -> dict[str, Any]:
    """All that others see of it, but when."""
    found = [await store.find(one) for one in IDS]
    forms = (("a", "own"), ("a", "b"), ("ann/b", "b"))
    return {
        "histories": [await store.messages(name) for name in ("a", "ann/b", "w")],
        "numbers": [await store.turns(name) for name in ("a", "ann/b", "w")],
        "found": [one and replace(one, accepted_at=0.0, webhook=None) for one in found],
        # Without their order: SQLite keeps milliseconds, in which two turns may have ended.
        "places": sorted((number, one) for _, number, one in await places(store)),
        "states": [await store.agent_state(*form) for form in forms],
        "said": [await store.said(digest, 9) for digest in ("digest of a", "of b")],
        "keyed": sorted((one.id, one.key, one.digest) for one in await store.keyed()),
    }


async def places(store: Store) -> list[Place]:
    found: list[Place] = []
    for name in ("a", "ann/b"):
        found += (await store.ended(name, None, 99))[0]
    return found


async def instants(store: Store) -> list[float]:
    """When its turns ended."""
    return [at for at, _, _ in await places(store)]


def to_file(store: Store) -> bytes:
    """As `runner export` writes it."""
    number = turns = 0
    lines = [header(0.0)]
    with store.snapshot() as snapshot:
        for name in snapshot.names():
            conversation = snapshot.conversation(name)
            assert conversation is not None
            lines.append(beginning(conversation))
            number += 1
            for part in conversation.parts:
                lines.append(of_part(part))
                turns += isinstance(part, KeptTurn)
    return b"".join([*lines, end(number, turns)])


def reader_of(file: bytes) -> ArchiveReader:
    reader = ArchiveReader(BytesIO(file))
    reader.begin()
    return reader


async def from_file(store: Store, file: bytes) -> list[str]:
    """The conversations that are there already."""
    return await store.restore(reader_of(file).conversations())

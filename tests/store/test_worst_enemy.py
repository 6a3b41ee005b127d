"""What a store must bear: full disks, editing callers, the files of others, kill -9."""

from __future__ import annotations

import asyncio
import resource
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from runner.store import UnknownStore, make_store
from runner.store.base import NothingKept, Record, StoreUnavailable
from tests.support.stores import DURABLE, new_url, opened

COMMITS = """
import asyncio, sys
from runner.store import make_store
from runner.store.base import Record
async def main():
    store = make_store(sys.argv[1])
    await store.open()
    for i in range(10**6):
        print(await store.commit(Record(f"id{i}", "c", str(i), str(i))), flush=True)
asyncio.run(main())
"""


async def test_a_full_disk_fails_the_commit_and_not_the_next_one(tmp_path: Path) -> None:
    store = make_store(f"sqlite:///{tmp_path}/kept.db")
    await store.open()
    await store.commit(Record("1", "c", "m", "r"))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, limits[1]))
    try:
        with pytest.raises(StoreUnavailable) as failure:
            await store.commit(Record("2", "c", "x" * 400_000, "r"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    # The disk failed amid the commit, and a smaller write after it has made sure of the rest.
    assert failure.value.outcome == "rolled_back"
    assert await store.commit(Record("2", "c", "m", "r")) == 2
    assert len(await store.messages("c")) == 4
    await store.close()


async def test_who_edits_a_message_of_the_history_does_not_edit_the_past() -> None:
    store = make_store("memory:")
    await store.commit(Record("1", "c", "m", "r"))
    (await store.messages("c"))[0]["content"] = "edited"
    assert (await store.messages("c"))[0]["content"] == "m"


async def test_memory_keeps_a_turn_only_once_too() -> None:
    store = make_store("memory:")
    await store.commit(Record("1", "c", "m", "r"))
    with pytest.raises(StoreUnavailable):
        await store.commit(Record("1", "c", "m", "r"))


@pytest.mark.parametrize("kind", DURABLE)
async def test_text_that_cannot_be_encoded_is_refused_and_nothing_kept(
    kind: str, tmp_path: Path
) -> None:
    async with opened(kind, tmp_path) as store:
        with pytest.raises(NothingKept):
            await store.commit(Record("1", "c", "\ud800", "r"))
        assert await store.messages("c") == []


async def test_another_programs_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE turns (x)")
    other.commit()
    with pytest.raises(StoreUnavailable):
        await make_store(f"sqlite:///{path}").open()
    assert other.execute("PRAGMA user_version").fetchone() == (0,)
    other.close()


@pytest.mark.parametrize(
    "url", ["mysql://user:secret@host/db", "postgresql://user:sec%ret@host/db?nothing=1"]
)
def test_a_refused_url_does_not_show_its_password(url: str) -> None:
    with pytest.raises(UnknownStore) as caught:
        make_store(url)
    assert "secret" not in str(caught.value)
    assert "sec%ret" not in str(caught.value)


@pytest.mark.parametrize("kind", DURABLE)
def test_what_was_acknowledged_survives_kill_9(kind: str, tmp_path: Path) -> None:
    with new_url(kind, tmp_path) as url:
        acknowledged = committed_until_killed(url)
        contents = asyncio.run(kept_in(url))
    assert len(contents) // 2 >= len(acknowledged)
    assert contents == [str(i // 2) for i in range(len(contents))]


def committed_until_killed(url: str) -> list[str]:
    with subprocess.Popen(
        [sys.executable, "-c", COMMITS, url], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        acknowledged = [process.stdout.readline() for _ in range(20)]
        process.kill()
        return acknowledged + process.stdout.read().splitlines()


async def kept_in(url: str) -> list[str]:
    store = make_store(url)
    await store.open()
    history = await store.messages("c")
    await store.close()
    return [message["content"] for message in history]

"""What the store says when the connection to Postgres is lost is true, and it comes back: I-31."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from runner.store.base import AcceptedTurn, NothingKept, StoreUnavailable
from runner.store.postgres import PostgresStore, database
from tests.store.commits import record, together
from tests.support import postgres
from tests.support.postgres_proxy import PostgresProxy
from tests.support.stores import new_url


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[PostgresProxy]:
    with new_url("postgres", tmp_path) as url, PostgresProxy(url) as made:
        yield made


@pytest.fixture
async def store(proxy: PostgresProxy) -> AsyncIterator[PostgresStore]:
    made = PostgresStore(proxy.url)
    await made.open()
    yield made
    await made.close()


@pytest.mark.parametrize("names", ["a", "abc"])
async def test_commits_that_took_place_are_acknowledged_though_it_was_not_told(
    proxy: PostgresProxy, store: PostgresStore, names: str
) -> None:
    proxy.lose("COMMIT", arrives=True, after=1)
    assert await together(store, names) == list(range(1, len(names) + 1))
    assert len(await store.messages("c")) == 2 * len(names)


@pytest.mark.parametrize("names", ["a", "abc"])
async def test_commits_that_did_not_take_place_are_rolled_back_as_soon_as_that_is_sure(
    proxy: PostgresProxy, store: PostgresStore, names: str
) -> None:
    proxy.lose("COMMIT", arrives=False, after=1)
    assert await together(store, names) == ["rolled_back"] * len(names)
    assert await store.messages("c") == []
    assert await together(store, names) == list(range(1, len(names) + 1))


@pytest.mark.parametrize("arrives", [True, False])
async def test_while_the_server_is_away_nobody_can_tell(
    proxy: PostgresProxy,
    store: PostgresStore,
    monkeypatch: pytest.MonkeyPatch,
    arrives: bool,
) -> None:
    monkeypatch.setattr(database, "SETTLE_S", 0.0)
    proxy.lose("COMMIT", arrives=arrives)
    proxy.is_away = True
    with pytest.raises(StoreUnavailable) as failure:
        await store.commit(record("a"))
    assert failure.value.outcome == "unknown"
    proxy.come_back()
    assert await store.commit(record("b")) == (2 if arrives else 1)


@pytest.mark.parametrize("statement", ["BEGIN", "INSERT INTO turnline_turns"])
async def test_a_write_is_done_again_where_its_connection_was_lost_before_commit(
    proxy: PostgresProxy, store: PostgresStore, statement: str
) -> None:
    proxy.lose(statement, arrives=True)
    assert await store.commit(record("a")) == 1
    assert len(await store.messages("c")) == 2


async def test_who_was_idle_when_the_connection_went_notices_nothing(
    proxy: PostgresProxy, store: PostgresStore
) -> None:
    await store.commit(record("a"))
    assert len(await store.messages("c")) == 2
    proxy.cut()
    assert await store.commit(record("b")) == 2
    assert len(await store.messages("c")) == 4


async def test_while_the_server_is_away_nothing_is_kept_and_afterwards_all_is_as_before(
    proxy: PostgresProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "PATIENCE_S", 0.1)
    store = PostgresStore(proxy.url)
    await store.open()
    await store.commit(record("a"))
    assert store.available
    proxy.go_away()
    for name in "bc":
        with pytest.raises(NothingKept):
            await store.commit(record(name))
    with pytest.raises(StoreUnavailable):
        await store.messages("c")
    assert not store.available
    proxy.come_back()
    await store.until_available()
    assert store.available
    assert await store.commit(record("b")) == 2
    assert len(await store.messages("c")) == 4
    await store.close()


async def test_writes_that_waited_for_the_server_take_effect_in_their_order(
    proxy: PostgresProxy, store: PostgresStore
) -> None:
    proxy.go_away()
    writes = [asyncio.ensure_future(store.commit(record(str(number)))) for number in range(9)]
    while store.available:
        await asyncio.sleep(0)
    writes += [asyncio.ensure_future(store.commit(record(str(number)))) for number in range(9, 12)]
    await asyncio.sleep(0)
    proxy.come_back()
    assert await asyncio.gather(*writes) == list(range(1, 13))


async def test_reads_wait_for_the_server_too(proxy: PostgresProxy, store: PostgresStore) -> None:
    await store.commit(record("a"))
    proxy.go_away()
    reads = asyncio.gather(store.messages("c"), store.find("a"), store.before("c", "own"))
    while store.available:
        await asyncio.sleep(0)
    proxy.come_back()
    messages, found, (_, history) = await reads
    assert len(messages) == 2
    assert found is not None
    assert history == messages


async def test_a_loss_that_no_write_meets_is_noticed_too(
    proxy: PostgresProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "LOOK_S", 0.01)
    store = PostgresStore(proxy.url)
    await store.open()
    proxy.go_away()
    async with asyncio.timeout(30):
        while store.available:
            await asyncio.sleep(0.01)
        proxy.come_back()
        await store.until_available()
    await store.close()


async def test_a_store_closes_while_the_server_is_away(proxy: PostgresProxy) -> None:
    store = PostgresStore(proxy.url)
    await store.open()
    proxy.go_away()
    waits = asyncio.ensure_future(store.accept(AcceptedTurn("a", "c", "m", 1.0)))
    while store.available:
        await asyncio.sleep(0)
    await store.close()
    with pytest.raises(NothingKept):
        await waits


@pytest.mark.slow
async def test_a_server_that_was_restarted_is_found_again() -> None:
    server = postgres.new_server()
    store = PostgresStore(server.url())
    await store.open()
    assert await store.commit(record("a")) == 1
    server.stop()
    with pytest.raises(NothingKept):
        await store.commit(record("b"))
    server.start()
    await store.until_available()
    assert await store.commit(record("b")) == 2
    server.stop("fast")
    server.start()
    assert await store.commit(record("c")) == 3
    await store.close()
    server.end()

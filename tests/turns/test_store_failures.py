"""Whatever a store raises, each turn ends, and says no more than is known: I-8, I-31, I-33."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence

import pytest
import structlog
from structlog.typing import EventDict

from runner.settings import Settings
from runner.store.base import AcceptedTurn, Ending, NothingKept, Record, StoreUnavailable
from runner.store.memory import MemoryStore
from runner.turns.live_turn import LiveTurn
from runner.turns.service import Service
from runner.turns.submission import Submission
from strategies import Limits, State, Turn
from strategies.queue import Queue
from strategies.testing import run
from tests.turns.test_service import Sleeper

ERRORS: tuple[type[BaseException], ...] = (
    NothingKept, StoreUnavailable, MemoryError, SystemExit, RuntimeError,
)  # fmt: skip


class FailingStore(MemoryStore):
    """Raises once in the method that is named; `late`, when it has done what it was asked."""

    durable = True

    def __init__(self, method: str, error: type[BaseException], *, late: bool) -> None:
        super().__init__()
        self.method = method
        self.error = error
        self.late = late

    def may_fail(self, method: str, *, late: bool) -> None:
        if (self.method, self.late) == (method, late):
            self.method = ""
            raise self.error

    async def accept(self, turn: AcceptedTurn) -> None:
        self.may_fail("accept", late=False)
        await super().accept(turn)
        self.may_fail("accept", late=True)

    async def begin(self, turn_ids: Sequence[str]) -> None:
        self.may_fail("begin", late=False)
        await super().begin(turn_ids)
        self.may_fail("begin", late=True)

    async def commit(self, record: Record) -> int:
        self.may_fail("commit", late=False)
        number = await super().commit(record)
        self.may_fail("commit", late=True)
        return number

    async def end(self, turn_id: str, ending: Ending) -> None:
        self.may_fail("end", late=False)
        await super().end(turn_id, ending)
        self.may_fail("end", late=True)


def make_service(store: MemoryStore) -> Service:
    return Service(Settings(), Sleeper(), store, lambda answer: Queue(answer, Limits()))


async def ask(service: Service, name: str, message: str) -> LiveTurn:
    live, _ = await service.submit(Submission(Turn(name, "c", message), "continue", name))
    return live


@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("method", ["accept", "begin", "commit", "end"])
def test_whatever_a_store_raises_the_turn_ends_and_the_next_one_works(
    method: str, error: type[BaseException], late: bool
) -> None:
    if late and error is NothingKept:
        return  # It would be untrue.
    store = FailingStore(method, error, late=late)

    async def live() -> None:
        service = make_service(store)
        await service.open()
        first = await ask(service, "t1", "wrong" if method == "end" else "1")
        await first.until_ended()
        await check(service, store, first)
        second = await ask(service, "t2", "1")
        await second.until_ended()
        assert second.ending is not None
        assert second.ending.state is State.ANSWERED
        await service.forget("c")  # It is free.
        await service.drain(0)
        await service.close()

    async def check(service: Service, store: MemoryStore, live: LiveTurn) -> None:
        ending, kept = live.ending, await store.turns("c")
        assert ending is not None
        if ending.outcome != "unknown":
            assert kept == (ending.reply is not None)
        if method in ("accept", "begin"):
            assert (kept, ending.outcome) == (0, "not_started")
        await asyncio.sleep(5)  # What was not kept at first.
        assert await store.unfinished() == []
        load = service.load()
        assert (load.waiting, load.running, load.accepted) == (0, 0, sum(load.ended.values()))

    run(live())


def test_a_row_of_which_nobody_knows_is_not_taken_up_by_the_next_process() -> None:
    """The client was told that the turn did not run."""
    store = FailingStore("accept", StoreUnavailable, late=True)

    async def live() -> None:
        service = make_service(store)
        await service.open()
        first = await ask(service, "t1", "1")
        await first.until_ended()
        assert first.ending is not None
        assert first.ending.outcome == "not_started"
        await service.close()
        again = make_service(store)
        await again.open()
        found = await again.find("t1")
        assert found is not None
        assert found.ending is not None
        assert found.ending.outcome == "not_started"
        await again.drain(0)

    run(live())


@pytest.fixture
def _failing_log() -> Iterator[None]:
    def fail(logger: object, method: str, entry: EventDict) -> EventDict:
        raise MemoryError

    structlog.configure(processors=[fail])
    yield
    structlog.reset_defaults()


@pytest.mark.usefixtures("_failing_log")
@pytest.mark.parametrize("message", ["1", "wrong"])
def test_a_log_that_cannot_be_written_loses_the_line_and_not_the_turn(message: str) -> None:
    """I-33"""

    async def live() -> None:
        service = make_service(MemoryStore())
        await service.open()
        first = await ask(service, "t1", message)
        await first.until_ended()
        assert first.ending is not None
        assert first.ending.state is (State.ANSWERED if message == "1" else State.FAILED)
        await service.drain(0)

    run(live())

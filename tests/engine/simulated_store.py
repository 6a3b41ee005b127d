"""`SharedStore` as one simulated process has it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import psycopg

from runner.engine.figures import System
from runner.engine.store import REFUSALS, KeyTaken, Rules, Superseded
from runner.store.base import (
    AcceptedTurn,
    AgentState,
    Ending,
    NothingKept,
    Record,
    StoreUnavailable,
)
from runner.store.history import History
from runner.store.memory import MemoryStore
from strategies import ConversationBusy, State, TurnCancelled, TurnError
from tests.engine.simulated_line import Row
from tests.engine.simulated_server import InDoubt, Link

T = TypeVar("T")


class SimulatedStore(MemoryStore):
    """`SharedStore` as one process has it: the tables of all, over its own link.

    Writes are done one by one, and cancelling the caller stops none of them.
    """

    durable = True
    available = True

    def __init__(self, link: Link, own: str, lease_s: float) -> None:
        vars(self).update(vars(link.server.kept))  # The same tables.
        self.conninfo = self._link = link
        self.own = own
        self.worker: Callable[[], int] = lambda: 0
        self.attempts: dict[str, int] = {}
        self._server, self._line = link.server, link.server.line
        self._lease_s = lease_s
        self._turn = asyncio.Lock()
        self._writes: set[asyncio.Task[Any]] = set()

    async def _write(self, step: Callable[[], T]) -> T:
        async def work() -> T:
            async with self._turn:
                return await self._ask(step, StoreUnavailable)

        task = asyncio.get_running_loop().create_task(work())
        self._writes.add(task)
        task.add_done_callback(self._written)
        return await asyncio.shield(task)

    def _written(self, task: asyncio.Task[Any]) -> None:
        self._writes.discard(task)
        if not task.cancelled():
            task.exception()  # Who asked may be gone.

    async def _read(self, step: Callable[[], T]) -> T:
        return await self._ask(step, NothingKept)

    async def _ask(self, step: Callable[[], T], doubt: type[StoreUnavailable]) -> T:
        try:
            return await self._link.ask(step)
        except InDoubt as error:
            raise doubt from error
        except psycopg.OperationalError as error:
            raise NothingKept from error

    # The line.

    async def admit(self, turn: AcceptedTurn, rules: Rules) -> TurnError | None:
        refusal = await self._write(lambda: self._admit(turn, rules))
        if refusal == "KeyTaken":
            raise KeyTaken
        return None if refusal == "" else REFUSALS[refusal](retry_after_s=rules.service_s)

    def _admit(self, turn: AcceptedTurn, rules: Rules) -> str:
        if turn.key is not None and self._of_key(turn.conversation, turn.key) is not None:
            return "KeyTaken"
        refusal = self._line.admit(
            turn.id, turn.conversation, turn.priority, self.own, rules, self._lease_s
        )
        if refusal == "":
            self._server.accepted[turn.id] = turn
            self._server.tell("came", turn.id, turn.conversation)
        return refusal

    def _of_key(self, conversation: str, key: str) -> AcceptedTurn | None:
        """The last that was asked under this key and holds it."""
        found = [
            turn
            for turn in self._server.accepted.values()
            if (turn.conversation, turn.key) == (conversation, key)
            and (turn.ending is None or turn.ending.outcome != "not_started")
        ]
        return found[-1] if found else None

    async def withdraw(self, turn_id: str, ending: Ending) -> int | None:
        def step() -> int | None:
            if self._line.withdraw(turn_id):
                return self._end(turn_id, ending)
            row = self._line.rows.get(turn_id)
            if row is not None and row.runner is None and ending.state is State.CANCELLED:
                row.is_stopped = True
            return None

        return await self._write(step)

    async def end_here(self, turn_id: str, ending: Ending, *, has_stopped: bool = False) -> bool:
        def step() -> bool:
            is_mine = self._line.finish if has_stopped else self._line.is_of
            if not is_mine(turn_id, *self._run_of(turn_id)):
                return False
            self._end(turn_id, ending)
            return True

        return await self._write(step)

    async def finish(self, turn_id: str) -> None:
        await self._write(lambda: self._line.finish(turn_id, *self._run_of(turn_id)))

    def _run_of(self, turn_id: str) -> tuple[int, int | None]:
        return self.worker(), self.attempts.get(turn_id)

    async def look(self, turn_id: str) -> tuple[AcceptedTurn | None, str | None]:
        def step() -> str | None:
            row = self._line.rows.get(turn_id)
            return None if row is None else row.runner

        runner = await self._read(step)
        return await self.find(turn_id), runner

    async def places(self, conversation: str) -> dict[str, int]:
        def step() -> dict[str, int]:
            rows = [row for row in self._rows(conversation) if row.runner is None]
            rows.sort(key=lambda row: (row.rank, row.job))
            return {row.turn_id: place for place, row in enumerate(rows, 1)}

        return await self._read(step)

    def _rows(self, conversation: str) -> list[Row]:
        return [row for row in self._line.rows.values() if row.conversation == conversation]

    async def keyed_as(self, conversation: str, key: str) -> tuple[str, str | None] | None:
        turn = await self._read(lambda: self._of_key(conversation, key))
        return None if turn is None else (turn.id, turn.digest)

    async def living(self, conversation: str) -> list[tuple[AcceptedTurn, str | None]]:
        def step() -> list[tuple[AcceptedTurn, str | None]]:
            turns = [(self._server.accepted[row.turn_id], row) for row in self._rows(conversation)]
            return [(turn, row.runner) for turn, row in turns if turn.ending is None]

        return await self._read(step)

    # Processes that are gone.

    async def stalled(self, lease_s: float) -> list[tuple[str, int]]:
        def step() -> list[tuple[str, int]]:
            found = self._line.stalled(lease_s)
            return [(turn_id, self._server.accepted[turn_id].attempts) for turn_id in found]

        return await self._read(step)

    async def revive(self, turn_id: str, lease_s: float, ending: Ending | None) -> bool:
        def step() -> bool:
            row = self._line.rows.get(turn_id)
            if row is None or not self._line.is_stalled(row, lease_s):
                return False
            self._server.taken.append(turn_id)
            self._line.back(row.job)
            row.runner = None
            if ending is not None:
                self._end(turn_id, ending)
            if self._server.accepted[turn_id].ending is not None:
                self._line.withdraw(turn_id)
            return True

        return await self._write(step)

    async def forget_gone(self, lease_s: float, ending: Ending) -> None:
        def step() -> None:
            for turn_id in self._line.waiting_for_gone(lease_s):
                if self._line.withdraw(turn_id):
                    self._end(turn_id, ending)
            self._line.prune(lease_s)

        await self._write(step)

    async def lines(self, caller: str) -> dict[str, tuple[int, int]]:
        return {}  # Nor at these.

    async def system(self) -> System:
        return System((), 0, 0, 0.0)  # Nobody looks at it.

    async def strays(self) -> list[AcceptedTurn]:
        return []  # Nothing is brought from elsewhere.

    async def hooks_of_gone(self, lease_s: float) -> list[str]:
        return []

    # As a Store.

    async def begin(self, turn_ids: Sequence[str]) -> None:
        def step() -> bool:
            turns = [self._server.accepted.get(turn_id) for turn_id in turn_ids]
            if not all(self._line.is_of(turn_id, *self._run_of(turn_id)) for turn_id in turn_ids):
                raise Superseded
            is_stopped = any(self._line.rows[turn_id].is_stopped for turn_id in turn_ids)
            if not is_stopped and any(turn is None or turn.ending for turn in turns):
                raise NothingKept
            for turn_id in turn_ids:
                self._line.start(turn_id, self.own, *self._run_of(turn_id))
            if is_stopped:
                return False
            _at_once(MemoryStore.begin(self, turn_ids))
            for turn in [self._server.accepted[turn_id] for turn_id in turn_ids]:
                more = {"n": turn.attempts, "p": self.own}
                self._server.tell("started", turn.id, turn.conversation, **more)
            return True

        if not await self._write(step):
            raise TurnCancelled

    async def commit(self, record: Record) -> int:
        def step() -> int:
            if not self._line.finish(record.turn_id, *self._run_of(record.turn_id)):
                raise Superseded
            number: int = _at_once(MemoryStore.commit(self, record))
            self._server.tell("ended", record.turn_id, record.conversation)
            return number

        return await self._write(step)

    async def end(self, turn_id: str, ending: Ending) -> None:
        await self.end_here(turn_id, ending)

    def _end(self, turn_id: str, ending: Ending) -> int:
        turn = self._server.accepted[turn_id]
        if turn.attempts and ending.outcome == "not_started":
            ending = replace(ending, outcome="rolled_back")
        if turn.ending is None:
            _at_once(MemoryStore.end(self, turn_id, ending))
            self._server.tell("ended", turn_id, turn.conversation)
        return turn.attempts

    async def forget(self, conversation: str, idle_since: float | None = None) -> bool:
        def step() -> bool:
            if self._rows(conversation):
                raise ConversationBusy
            return bool(_at_once(MemoryStore.forget(self, conversation, idle_since)))

        return await self._write(step)

    async def find(self, turn_id: str) -> AcceptedTurn | None:
        return await self._read(lambda: _at_once(MemoryStore.find(self, turn_id)))

    async def turns(self, conversation: str) -> int:
        return await self._read(lambda: self.span(conversation)[1])

    async def before(
        self, conversation: str, form: str, turns: int | None = None
    ) -> tuple[AgentState | None, History]:
        def step() -> tuple[AgentState | None, History]:
            left: AgentState | None = _at_once(self.agent_state(conversation, form))
            return left, self.history(conversation, turns)

        return await self._read(step)


def _at_once(work: Any) -> Any:
    """What a coroutine of a MemoryStore gives, which waits for nothing."""
    try:
        work.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("it waits")

"""The shared strategy of one process alone, over a line in memory that answers at once.

So it is held to the promises of any strategy, in virtual time. What takes time between the
strategy and Postgres, and what other processes do, is for the simulated servers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator
from typing import Any

from runner.engine.store import REFUSALS, Rules
from runner.engine.strategy import SharedStrategy
from runner.engine.ticket import SharedTicket
from strategies import Answer, Attempt, Limits, Load, Reply, Strategy, Ticket, Turn, TurnError
from tests.engine.simulated_line import Line, Process

OWN, WORKER = "own", 1
FOREVER_S = 1e12
"""Of a lease: this process is not taken for gone."""


def shared(policy: str) -> Callable[[Answer, Limits], Strategy]:
    """What makes the strategy with this policy."""

    def make(answer: Answer, limits: Limits) -> Strategy:
        return Alone(answer, limits, policy)

    return make


class Alone:
    """A Strategy: what sharing does about its turns, and worker and store for it."""

    uses = frozenset({"turn_timeout_s"})

    def __init__(self, answer: Answer, limits: Limits, policy: str) -> None:
        self._limits = limits
        self._policy = policy
        self._line = Line(lambda: 0.0, moved=self._moved)
        self._line.processes[OWN] = Process(WORKER, limits.max_running, 0.0)
        self._line.workers[WORKER] = 0.0
        self._answer = answer
        self._strategy = AtOnce(self._answer_and_commit, limits, line=self)
        self._tickets: dict[str, SharedTicket] = {}
        self._free = limits.max_running
        self.drain = self._strategy.drain

    # As a Strategy.

    def submit(self, turn: Turn) -> Ticket:
        self._strategy.admit(turn)
        limits = self._limits
        rules = Rules(
            self._policy, turn.caller, False, limits.max_waiting,
            limits.max_waiting_per_conversation, limits.max_waiting_per_caller, None,
        )  # fmt: skip
        self._holds_back = True
        refusal = self._line.admit(turn.id, turn.conversation, turn.priority, OWN, rules, FOREVER_S)
        self._holds_back = False
        if refusal:
            raise self._strategy.refuse(REFUSALS[refusal]())
        ticket = self._tickets[turn.id] = self._strategy.submit(turn)
        self._fetch()
        return ticket

    def load(self) -> Load:
        return self._strategy.load()

    # As a worker: it fetches while a slot is free.

    _holds_back = False

    def _moved(self) -> None:
        if not self._holds_back:
            self._fetch()

    def _fetch(self) -> None:
        while self._free and (row := self._line.fetch(WORKER)) is not None:
            self._free -= 1
            at_once(self._run(self._tickets[row.turn_id]))

    async def _run(self, ticket: SharedTicket) -> None:
        """As `Sharing._run`."""
        once = [None]

        def free() -> None:
            if once:
                once.pop()
                self._free += 1
                self._fetch()

        self._line.start(ticket.turn.id, OWN, WORKER, 0)
        try:
            await self._strategy.run(ticket, free)
            await self.finish(ticket.turn.id)
        finally:
            free()

    # As the line of the strategy.

    async def withdraw(self, ticket: SharedTicket, error: TurnError) -> bool:
        is_out = self._line.withdraw(ticket.turn.id)
        if is_out:
            del self._tickets[ticket.turn.id]
        return is_out

    def runs_again(self, turn_id: str) -> bool:
        return False

    def outlives(self, turn_id: str) -> bool:
        return False

    async def end(self, ticket: SharedTicket, error: TurnError, *, has_stopped: bool) -> bool:
        is_mine = self._line.finish if has_stopped else self._line.is_of
        return is_mine(ticket.turn.id, WORKER, 0)

    async def finish(self, turn_id: str) -> None:
        del self._tickets[turn_id]
        self._line.finish(turn_id, WORKER, 0)

    async def _answer_and_commit(self, turn: Turn, attempt: Attempt) -> Reply:
        """The commit of a reply lets go of the turn; the next one comes a moment later."""
        reply = await self._answer(turn, attempt)
        local = self._tickets[turn.id].local
        is_kept = isinstance(reply, Reply)  # pyright: ignore[reportUnnecessaryIsInstance]
        if is_kept and local is not None and local.ending is None:
            asyncio.get_running_loop().call_soon(self._line.finish, turn.id, WORKER, 0)
        return reply

    def stop_elsewhere(self, ticket: SharedTicket) -> None:
        """It is nowhere else."""

    def look(self, turn_id: str) -> None:
        """As above."""


class AtOnce(SharedStrategy):
    """Does what need not wait before the call that asks for it returns."""

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        at_once(work)


def at_once(work: Coroutine[Any, Any, None]) -> None:
    """Begin it now, and go on with it in a task from where it first waits, if it does."""
    try:
        awaited = work.send(None)
    except StopIteration:
        return
    task = asyncio.get_running_loop().create_task(_go_on(_Rest(work, awaited)))
    RUNNING.add(task)
    task.add_done_callback(RUNNING.discard)


RUNNING: set[asyncio.Task[None]] = set()


async def _go_on(rest: _Rest) -> None:
    await rest


class _Rest:
    """Of a coroutine that waits for something already; another `await` of it would be refused."""

    def __init__(self, work: Coroutine[Any, Any, None], awaited: Any) -> None:
        self._work = work
        self._awaited = awaited

    def __await__(self) -> Generator[Any, None, None]:
        try:
            while True:
                try:
                    yield self._awaited
                except BaseException as error:
                    self._awaited = self._work.throw(error)
                else:
                    self._awaited = self._work.send(None)
        except StopIteration:
            return

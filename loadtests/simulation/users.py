"""All clients of a workload on an event loop: callbacks in place of tasks, which cost more."""

from __future__ import annotations

import asyncio
from collections.abc import Generator

from loadtests.measures.records import LEFT, UserTurn
from loadtests.workloads.users import Answer, Pause, Send, take_turns
from loadtests.workloads.workload import Workload
from runner.api.problems import TURN_CAUSES
from strategies import State, Strategy, Ticket, Turn, TurnError

WAITING = State.WAITING

EARLIEST_S = 1e-8
"""The clock's grid: what is due sooner is due now, or the clock would never get there."""


class Users:
    """Sends what is due when it is due, and collects what came of it."""

    def __init__(
        self, workload: Workload, strategy: Strategy, loop: asyncio.AbstractEventLoop
    ) -> None:
        self._workload, self._strategy, self._loop = workload, strategy, loop
        self._following = workload.following
        # The others are sent by their users.
        arrivals = enumerate(workload.arrivals)
        self._first = [number for number, arrival in arrivals if arrival.after is None]
        self._begun = self._ended = 0
        self._turns: list[UserTurn] = []
        self._all: asyncio.Future[list[UserTurn]] = loop.create_future()

    async def all_turns(self) -> list[UserTurn]:
        """When the last has ended. Raises what a strategy's `submit` raises and should not."""
        self._begin()
        return await self._all

    def _begin(self) -> None:
        """Let come who is due, and come back for the next."""
        while self._begun < len(self._first):
            number = self._first[self._begun]
            early_s = self._workload.arrivals[number].due_s - self._loop.time()
            if early_s > EARLIEST_S:
                self._loop.call_later(early_s, self._begin)
                return
            self._begun += 1
            clock = self._loop.time
            conduct = take_turns(self._workload, number, clock, self._following)
            self._loop.call_soon(_User(self._loop, self._strategy, conduct, self).go, None)
        self._end_if_all()

    def ended(self, turns: tuple[UserTurn, ...]) -> None:
        self._turns += turns
        self._ended += 1
        self._end_if_all()

    def failed(self, error: BaseException) -> None:
        if not self._all.done():
            self._all.set_exception(error)

    def _end_if_all(self) -> None:
        if self._ended == len(self._first) and not self._all.done():
            self._all.set_result(self._turns)


class _User:
    """One user, who does one thing after the other. `_ticket` is that of the open attempt."""

    __slots__ = ("_conduct", "_left", "_loop", "_strategy", "_ticket", "_timer", "_users")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        strategy: Strategy,
        conduct: Generator[Send | Pause, Answer | None, tuple[UserTurn, ...]],
        users: Users,
    ) -> None:
        self._loop, self._strategy = loop, strategy
        self._conduct, self._users = conduct, users
        self._ticket: Ticket | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._left = False

    def go(self, told: Answer | None) -> None:
        """On, up to where it must wait for something."""
        try:
            while True:
                step = self._conduct.send(told)
                if isinstance(step, Pause):
                    self._loop.call_later(step.seconds, self.go, None)
                    return
                told = self._send(step)
                if told is None:
                    return
        except StopIteration as end:
            self._users.ended(end.value)
        except BaseException as error:  # Of a strategy that breaks its promises.
            self._users.failed(error)

    def _send(self, step: Send) -> Answer | None:
        """The refusal, or None where there will be an end."""
        turn = Turn(step.name, step.conversation, step.message, step.deadline_s, caller=step.caller)
        try:
            ticket = self._strategy.submit(turn)
        except TurnError as error:
            return _refused(error)
        self._ticket, self._left = ticket, False
        self._timer = self._loop.call_later(step.give_up_s, self._give_up)
        ticket.add_done_callback(self._on_end)
        return None

    def _on_end(self, ticket: Ticket) -> None:
        if ticket is not self._ticket:
            return  # Its client left before.
        if self._left:
            self._leave(ticket)
            return
        assert self._timer is not None
        self._timer.cancel()
        self._ticket = None
        self.go(_answer(ticket))

    def _give_up(self) -> None:
        """As a connection does: the client's leaving drops a waiting turn, a step later.

        What the server does at the same instant, as at a deadline that it was told, comes first.
        """
        assert self._ticket is not None
        self._left = True
        self._loop.call_soon(self._leave, self._ticket)

    def _leave(self, ticket: Ticket) -> None:
        if ticket is not self._ticket:
            return
        self._ticket = None
        if ticket.state is WAITING:
            ticket.cancel()
        self.go(Answer(LEFT))


def _answer(ticket: Ticket) -> Answer:
    try:
        reply = ticket.result()
    except TurnError as error:
        return _refused(error)
    return Answer(200, reply.number, ticket.waited_s, ticket.ran_s)


def _refused(error: TurnError) -> Answer:
    """As the server's edge says it."""
    for kind in type(error).__mro__:
        if kind in TURN_CAUSES:
            return Answer(TURN_CAUSES[kind].status, retry_after_s=error.retry_after_s)
    raise AssertionError(f"no status says {error!r}")

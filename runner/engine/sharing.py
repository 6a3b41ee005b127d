"""What a service does otherwise where other processes serve the same conversations."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from math import inf
from socket import gethostname
from typing import Any, TypeVar

import psycopg
import structlog

from runner.engine import gone
from runner.engine.channel import Channel
from runner.engine.figures import Figures
from runner.engine.news import News
from runner.engine.places import Places
from runner.engine.store import KeyTaken, Rules, SharedStore
from runner.engine.strategy import SharedStrategy
from runner.engine.ticket import SharedTicket
from runner.engine.worker import Worker
from runner.settings import Settings
from runner.store.base import AcceptedTurn, StoreUnavailable
from runner.turns import ending as endings
from runner.turns.journal import Journal
from runner.turns.keys import KeyReused, digest
from runner.turns.known_turns import KnownTurns
from runner.turns.live_turn import LiveTurn
from runner.turns.settling import Settling
from runner.turns.submission import Submission
from runner.webhooks.deliveries import Deliveries
from strategies import (
    Answer,
    Limits,
    State,
    Strategy,
    Turn,
    TurnError,
)

T = TypeVar("T")

AGAIN_S = 0.5

CHOICES = {"queue": "queue", "enqueue": "queue", "lock": "lock", "reject": "reject"}
"""Strategies of all processes, and of turns; and the policy in `turnline_admit` of each."""

log = structlog.get_logger(__name__)


class Sharing:
    """This process among all that share its store.

    own  names this process, from its start to its end.
    make_worker, make_channel  make its worker and its channel, for a Postgres that is none.
    """

    def __init__(
        self,
        settings: Settings,
        store: SharedStore,
        limits: Limits,
        *,
        make_worker: Callable[..., Worker] = Worker,
        make_channel: Callable[..., Channel] = Channel,
    ) -> None:
        self.own = store.own
        self.lines = store.lines
        self.figures = Figures(store.own, store.system, lambda: store.available)
        self._settings = settings
        self._store = store
        self._limits = limits
        self._make_worker, self._make_channel = make_worker, make_channel
        self._taking: dict[str, asyncio.Task[Any]] = {}
        self._runs: dict[str, asyncio.Task[Any]] = {}
        self.strategy: SharedStrategy
        self._worker: Worker | None = None
        self._known: KnownTurns
        self._journal: Journal
        self._start: Callable[[LiveTurn, bool], None]

    def make_strategy(self, answer: Answer) -> Strategy:
        self.strategy = SharedStrategy(answer, self._limits, line=self)
        return self.strategy

    def connect(
        self,
        known: KnownTurns,
        journal: Journal,
        settling: Settling,
        start: Callable[[LiveTurn, bool], None],
    ) -> None:
        """To the rest of the service.

        start  has the life of a turn begin that was accepted, in the background or not.
        """
        self._known, self._journal, self._start, self._settling = known, journal, start, settling
        service_s = lambda: self.strategy.load().service_s  # noqa: E731
        places = Places(self._store, known, service_s)
        self.news = News(self.own, self._store, self.strategy, known, settling, places)
        self._places = places
        self.look, self.stop_elsewhere = self.news.look, self.news.stop_elsewhere

    async def open(self, webhooks: Deliveries) -> None:
        """Take part. The store is open. Raises StoreUnavailable."""
        self._webhooks = webhooks
        conninfo, settings = self._store.conninfo, self._settings
        news = self.news
        self._worker = worker = self._make_worker(
            conninfo,
            self.own,
            f"{gethostname()}:{settings.server.port}",
            self._limits.max_running,
            settings.store.lease_s,
            self._run,
            self._sweep,
        )
        self._store.worker = lambda: worker.id
        hears = news.hear, worker.wake, news.look_at_all
        self._channel = self._make_channel(conninfo, self.own, *hears)
        news.channel = self._channel
        news.sweep = worker.sweep_soon
        try:
            await self._channel.open()
            await worker.open()
            await self._sweep()
            await self.figures.open()
        except (psycopg.Error, OSError) as error:
            raise StoreUnavailable(str(error)) from error

    async def stop_fetching(self) -> None:
        if self._worker is not None:
            await self._worker.stop_fetching()

    async def close(self) -> None:
        """Twice does no harm."""
        self.figures.close()
        if self._worker is not None:
            await self._worker.close()
            self._worker = None
            await self._channel.close({"k": "gone"})

    # A turn comes.

    async def take(self, live: LiveTurn, submission: Submission) -> bool:
        """Accept the turn; False where another process has just accepted one under its key.

        Raises TurnError. A client that leaves meanwhile leaves as later: by what it wished.
        """
        taking = self._taking[live.turn.id] = self._journal.spawn(self._admit(live, submission))
        taking.add_done_callback(lambda _: self._taking.pop(live.turn.id))
        try:
            refusal = await asyncio.shield(taking)
        except asyncio.CancelledError:
            live.waiters += 1
            taking.add_done_callback(lambda _: live.leave())
            raise
        if isinstance(refusal, TurnError):
            raise refusal
        return refusal is None

    async def keyed_as(self, turn: Turn, key: str) -> str | None:
        """The id of the turn that was asked under this key. Raises KeyReused."""
        found = await self._store.keyed_as(turn.conversation, key)
        if found is not None and found[1] != digest(turn.message, turn.more):
            raise KeyReused(KeyReused.__doc__)
        return found and found[0]

    async def where_keyed(self, caller: str, key: str) -> str | None:
        """As `Finding.by_key`."""
        return await self._store.where_keyed(caller, key)

    async def _admit(self, live: LiveTurn, submission: Submission) -> TurnError | KeyTaken | None:
        """Write it down and give it its place, in one step; or why not."""
        turn = live.turn
        row = self._journal.row_of(live, submission.webhook)
        self.news.arriving[turn.id] = []
        try:
            self.strategy.admit(turn)
            refusal = await self._store.admit(row, self._rules(turn, submission.needs_row))
            if refusal is not None:
                return self.strategy.refuse(refusal)
            live.row = asyncio.get_running_loop().create_future()
            live.row.set_result(True)
            self._start(live, submission.outlives_client)
            if submission.respond_async:  # The answer says where it stands.
                with suppress(StoreUnavailable):
                    await self._places.look(turn.conversation)
        except (TurnError, KeyTaken) as error:
            return error
        finally:
            early = self.news.arriving.pop(turn.id)
        for message in early:
            self.news.hear(message)
        self._places.moved(turn.conversation)
        return None

    def _rules(self, turn: Turn, outlives: bool) -> Rules:
        limits = self._limits
        return Rules(
            CHOICES[turn.strategy or self._settings.strategy.name],
            turn.caller,
            outlives,
            limits.max_waiting,
            limits.max_waiting_per_conversation,
            limits.max_waiting_per_caller,
            self.strategy.load().service_s,
        )

    async def find(self, turn_id: str) -> LiveTurn | None:
        """As `Service.find`, for a turn that is not known here."""
        kept, runner = await self._store.look(turn_id)
        await self._until_taken(turn_id)
        return None if kept is None else self._adopt(kept, runner)

    async def find_living(self, conversation: str) -> None:
        """Know all turns of this conversation that have not ended. Raises StoreUnavailable."""
        for kept, runner in await self._store.living(conversation):
            await self._until_taken(kept.id)
            self._adopt(kept, runner)
        await self._places.look(conversation)

    def in_order(self, line: tuple[LiveTurn, ...]) -> tuple[LiveTurn, ...]:
        """As they were accepted, by whichever processes."""

        def accepted_at(live: LiveTurn) -> float:
            return live.ticket.accepted_at if isinstance(live.ticket, SharedTicket) else -inf

        return tuple(sorted(line, key=accepted_at))

    async def _until_taken(self, turn_id: str) -> None:
        """It may be in the tables, and the process that accepts it here does not know that yet."""
        if (taking := self._taking.get(turn_id)) is not None:
            await asyncio.wait([taking])

    def _adopt(self, kept: AcceptedTurn, runner: str | None = None) -> LiveTurn:
        """A turn that another process has accepted, as it is known here from now on.

        runner  the process that runs it, or None.
        """
        if (live := self._known.get(kept.id)) is not None:
            return live
        live = LiveTurn.from_kept(kept, self._journal.now())
        if kept.ending is not None:
            return live
        live.counts = False
        live.ticket = ticket = self.strategy.follow(live.turn)
        ticket.accepted_at -= max(self._journal.now() - kept.accepted_at, 0.0)
        self._known.add(live)
        ticket.add_done_callback(partial(self._settling.settled, live))
        if runner is not None and runner != self.own:
            self.news.runs_elsewhere(live, kept.attempts)
        self.news.look(kept.id)  # It may have moved on since this was read.
        self._places.moved(kept.conversation)
        return live

    # A turn was fetched.

    async def _run(self, turn_id: str, attempts: int, free: Callable[[], None]) -> None:
        """Until its conversation may be freed; `free` as in `SharedStrategy.run`."""
        while (earlier := self._runs.get(turn_id)) is not None:
            await asyncio.wait([earlier])  # This process lost the turn, and knows it or not.
        self._runs[turn_id] = _this_task()
        self._store.attempts[turn_id] = attempts
        try:
            ticket = await self._run_fetched(turn_id, attempts, free)
            # A reply is kept in one step with that.
            if ticket is None or not (ticket.is_left or ticket.state is State.ANSWERED):
                await self.finish(turn_id)
        finally:
            del self._runs[turn_id], self._store.attempts[turn_id]
            free()

    async def _run_fetched(
        self, turn_id: str, attempts: int, free: Callable[[], None]
    ) -> SharedTicket | None:
        await self._until_taken(turn_id)
        live = self._known.living(turn_id)
        if live is None or attempts:
            kept = await self._surely(partial(self._store.find, turn_id))
            if kept is None or kept.ending is not None:
                return None
            live = self._adopt(kept)
            if live.ending is None and not self.strategy.runs_here(turn_id):
                live.wait_again(kept.attempts)
        ticket = live.ticket
        if not isinstance(ticket, SharedTicket):
            return None
        await self.strategy.run(ticket, free)
        return ticket

    # As the strategy's line.

    async def withdraw(self, ticket: SharedTicket, error: TurnError) -> bool:
        live = self._known.living(ticket.turn.id)
        ending = endings.of(error, 0 if live is None else live.attempts, ticket)
        attempts = await self._store.withdraw(ticket.turn.id, ending)
        if live is not None and attempts is not None:
            live.attempts = max(live.attempts, attempts)
            live.is_kept = True
        return attempts is not None

    def runs_again(self, turn_id: str) -> bool:
        return self._settings.store.on_restart == "run" and self.outlives(turn_id)

    def outlives(self, turn_id: str) -> bool:
        live = self._known.living(turn_id)
        return live is not None and live.promised

    async def end(self, ticket: SharedTicket, error: TurnError, *, has_stopped: bool) -> bool:
        live = self._known.living(ticket.turn.id)
        ending = endings.of(error, 0 if live is None else live.attempts, ticket)
        is_kept = await self._store.end_here(ticket.turn.id, ending, has_stopped=has_stopped)
        if live is not None and is_kept:
            live.is_kept = True
        return is_kept

    async def finish(self, turn_id: str) -> None:
        await self._surely(partial(self._store.finish, turn_id))

    async def _sweep(self) -> None:
        for turn_id in await gone.sweep(self._store, self._settings.store):
            self._webhooks.expect(turn_id)

    async def _surely(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Until the store is there."""
        while True:
            try:
                return await ask()
            except StoreUnavailable as error:
                log.warning("the store is waited for", reason=str(error.__cause__ or error))
                await asyncio.sleep(AGAIN_S)


def _this_task() -> asyncio.Task[Any]:
    task = asyncio.current_task()
    assert task is not None
    return task

"""The one object that the HTTP side sees: turns from submission to end, and their history.

A turn's way: `submit` hands it to the strategy; the strategy calls `Answering.answer` when
it may run; `Settling.settled` decides what became of it, keeps that, and shows it.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from math import inf
from time import monotonic
from typing import TYPE_CHECKING

import structlog

from runner import tasks
from runner.agents.base import About, Agent
from runner.agents.threads import Threads
from runner.callers import owns, scoped
from runner.lag import LoopLag
from runner.settings import Settings
from runner.store.base import Store
from runner.telemetry.log import log_turn
from runner.turns import ending as endings
from runner.turns import requests
from runner.turns.answering import Answering
from runner.turns.finding import Finding
from runner.turns.journal import Journal
from runner.turns.known_turns import KnownTurns
from runner.turns.live_turn import LiveTurn, Phase
from runner.turns.observer import Observers
from runner.turns.retention import Retention
from runner.turns.seen import Seen
from runner.turns.settling import Settling
from runner.turns.submission import Submission
from runner.webhooks.deliveries import Deliveries
from strategies import (
    Answer,
    ConversationBusy,
    ServerFull,
    State,
    Strategy,
    Turn,
    TurnError,
)

if TYPE_CHECKING:
    from runner.engine.sharing import Sharing
    from runner.telemetry.metrics import Metrics

STOP_S = 1.0
"""How long a cancellation is given to show what came of it."""

STOPPING = ("interrupt", "rollback")
"""Strategies by which a turn stops the one that runs."""

HELD = (
    "Your turns that have not ended hold as much as they may together (max_bodies_bytes). Send the "
    "message again when some of them have ended."
)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Summary:
    """How many turns of a conversation are kept, and how many have not ended."""

    id: str
    turns: int
    waiting: int
    running: int

    @property
    def is_busy(self) -> bool:
        return bool(self.waiting or self.running)


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation at one instant: how many turns are kept, and those that have not ended."""

    id: str
    turns: int
    line: tuple[LiveTurn, ...]

    @property
    def is_busy(self) -> bool:
        return bool(self.line)


class Service:
    """One agent behind one strategy. All calls come from one event loop.

    make_strategy  is given the `answer` that the strategy is to call.
    now            the wall clock: gives seconds since 1970.
    threads        those of the agent; if it has some, their figures are shown.
    log_turn       writes the line of each turn that has ended.
    observers      are told what happens to turns.
    refusals       turns that were not taken, by their caller and by what they were refused for.
    metrics        what `GET /metrics` shows, where that is on; the app puts it here.
    sharing        where other processes serve the same store, what is done otherwise then.
    system         the figures of all of them; None where this is the only one.
    """

    def __init__(
        self,
        settings: Settings,
        agent: Agent,
        store: Store,
        make_strategy: Callable[[Answer], Strategy],
        now: Callable[[], float] = time.time,
        threads: Threads | None = None,
        log_turn: Callable[..., None] = log_turn,
        sharing: Sharing | None = None,
    ) -> None:
        self.settings = settings
        self.threads = threads or Threads(settings.agent.threads)
        self.opened = False
        self.draining = False
        self.lag = LoopLag()
        self.requests_in_flight = 0
        self.observers = Observers()
        self.refusals: Counter[tuple[str, type[TurnError]]] = Counter()
        self.metrics: Metrics | None = None
        self._agent = agent
        self._store = store
        store.took = self.observers.stored
        kept = settings.server
        self._known = KnownTurns(
            kept.resume_s, kept.resume_turns, kept.resume_bytes, kept.bodies_share
        )
        self._journal = Journal(store, settings.store, now)
        self._keys = self._journal.keys
        answering = Answering(
            agent,
            store,
            self._known,
            self._journal,
            self.observers,
            settings.agent.history_turns,
            settings.agent.turn_timeout_s,
            None if sharing is None else Seen(agent.forget),
        )
        self._strategy = make_strategy(answering.answer)
        self._settling = Settling(
            settings,
            self._known,
            self._journal,
            self.observers,
            log_turn,
            durable=store.durable,
        )
        self._last_submitted_at = monotonic()
        self.webhooks = Deliveries(settings.webhook, store, self.find)
        self._sharing = sharing
        self.system = None if sharing is None else sharing.figures
        if sharing is not None:
            sharing.connect(self._known, self._journal, self._settling, self._start)
        self._forgetting: dict[str, asyncio.Future[None]] = {}
        self._retaining: asyncio.Task[None] | None = None
        form = agent.about.state_form
        self.finding = Finding(store, self._known, self._keys, form, self._forgetting, sharing)
        self.load = self._strategy.load
        self.history = store.history
        self.messages = store.messages
        self.ended = store.ended
        self.living = self._known.of_caller
        self.line = self._known.line
        self.living_conversations = self._known.conversations
        self.lately_ended = self._known.lately_ended
        self.fenced = self._known.fenced
        self.outcomes = self._known.outcomes

    def log_status(self, status_of: Callable[[TurnError], int]) -> None:
        """Have the lines of turns say the HTTP status for an error, as this maps it."""
        self._settling.status_of = status_of

    @property
    def about(self) -> About:
        """What the agent was taken for."""
        return self._agent.about

    # Life.

    async def open(self) -> None:
        """Make the store ready, and run what an earlier process left; twice does no harm.

        Raises StoreInUse, StoreUnavailable.
        """
        if not self.opened:
            await self._store.open()
            await self._journal.open()
            if self._sharing is None:
                await self._take_up()
            else:
                await self._sharing.open(self.webhooks)
            await self.webhooks.open()
            if (keep_s := self.settings.store.keep_history_s) is not None:
                old = Retention(self._store, keep_s, self._journal.earliest, self.forget)
                self._retaining = tasks.spawn(old.run(), "forgetting old conversations")
            self.lag.start()
            self.opened = True

    async def _take_up(self) -> None:
        """Run what an earlier process has left."""
        for live in await self._journal.take_up():
            self.observers.submitting(live)
            try:
                self._start(live, in_background=True)
            except TurnError as error:
                self._note_refusal(live.turn, error)
                ending = endings.of(error, live.attempts)
                await self._journal.end(live, ending)
                self._settling.end_key(live, ending)

    async def close(self) -> None:
        """Let go of the store; twice does no harm."""
        self.opened = False
        self.lag.stop()
        if self._retaining is not None:
            self._retaining.cancel()
        self._journal.close()
        self.webhooks.close()
        if self._sharing is not None:
            await self._sharing.close()
        await self._store.close()
        await self.observers.close()

    async def drain(self, timeout_s: float) -> None:
        """As `Strategy.drain`; from the first moment on `ready` is False."""
        self.draining = True
        if self._sharing is not None:
            await self._sharing.stop_fetching()
        await self._strategy.drain(timeout_s)
        await asyncio.sleep(0)  # Let the last tickets say that they have ended.
        await self._journal.settle(STOP_S)
        self.observers.drained()

    @property
    def ready(self) -> bool:
        return self.opened and not self.draining

    @property
    def store_is_lost(self) -> bool:
        """As `Store.lost`."""
        return self._store.lost

    @property
    def store_is_available(self) -> bool:
        """As `Store.available`."""
        return self._store.available

    @property
    def agent_hangs(self) -> bool:
        """As `Agent.hangs`."""
        return self._agent.hangs

    @property
    def idle_s(self) -> float:
        """Seconds since a turn was last submitted or ended; 0.0 while one waits or runs."""
        load = self.load()
        last = max(self._last_submitted_at, self._settling.last_end_at)
        return 0.0 if load.waiting or load.running else monotonic() - last

    # Turns.

    async def submit(self, submission: Submission) -> tuple[LiveTurn, bool]:
        """The turn, and whether it was asked for before, under the same key.

        Raises the `TurnError` of a refusal, which is logged; KeyReused, StoreUnavailable.
        """
        turn = submission.turn
        self._last_submitted_at = monotonic()
        known = await self.asked_before(turn, submission.key)
        while known is None and turn.conversation in self._forgetting:
            await asyncio.shield(self._forgetting[turn.conversation])
            known = await self.asked_before(turn, submission.key)
        if known is not None:
            known.wish(submission.on_disconnect)
            return known, True
        live = LiveTurn(turn, key=submission.key, origin=submission.origin)
        live.wish(submission.on_disconnect)
        self.observers.submitting(live)
        try:
            if not self._known.has_room(turn):
                # Strategies bound how many turns wait, and do not know what a turn holds.
                raise ServerFull(HELD, retry_after_s=self.load().service_s)
            if self._sharing is not None:
                if not await self._sharing.take(live, submission):
                    return await self.submit(submission)  # Its key was just used elsewhere.
            else:
                self._start(live, in_background=submission.outlives_client)
        except TurnError as error:
            self._note_refusal(turn, error)
            self._settling.refused(live, error)
            raise
        if submission.needs_row and self._sharing is None:
            self._journal.write(live, submission.webhook)
        if submission.webhook is not None:
            self.webhooks.expect(turn.id)
        return live, False

    async def asked_before(self, turn: Turn, key: str | None) -> LiveTurn | None:
        """The turn that was asked for under this key. Raises KeyReused."""
        # Again after each wait: another client may have used the key meanwhile.
        while key and (turn_id := await self._keyed_as(turn, key)) is not None:
            known = await self.find(turn_id)
            if known is None:
                if self._sharing is not None:
                    return None
                self._keys.release(turn_id, turn.conversation, key)
            elif known.abandoned and known.ending is None:
                # It was withdrawn since nobody waited for it. Its end tells if the key is free.
                await known.until_ended()
            else:
                return known
        return None

    async def _keyed_as(self, turn: Turn, key: str) -> str | None:
        """The id of the turn that was asked under this key, if any. Raises KeyReused."""
        if self._sharing is not None:
            return await self._sharing.keyed_as(turn, key)
        return self._keys.find(turn, key, self._journal.now())

    async def find(self, turn_id: str) -> LiveTurn | None:
        """A turn that lives, or one that is remembered. Raises StoreUnavailable."""
        live = self._known.get(turn_id)
        if live is None and self._sharing is not None:
            return await self._sharing.find(turn_id)
        if live is None:
            kept = await self._store.find(turn_id)
            if kept is not None and kept.ending is not None:
                live = LiveTurn.from_kept(kept, self._journal.now())
        return live

    @contextmanager
    def watching(self, live: LiveTurn, watcher: Callable[[], object]) -> Generator[None]:
        """As `KnownTurns.watching`, wherever the turn runs."""
        with self._known.watching(live, watcher):
            if self._sharing is not None:
                self._sharing.news.follow(live)
            yield

    async def cancel(self, live: LiveTurn) -> None:
        """Cancel the turn, and wait for its end and its agent's, but no longer than a second."""
        if live.ticket is None:
            return
        live.ticket.cancel()
        news = asyncio.Event()
        with suppress(TimeoutError), self.watching(live, news.set):
            async with asyncio.timeout(STOP_S):
                while not self._is_over(live):
                    await news.wait()
                    news.clear()

    def _is_over(self, live: LiveTurn) -> bool:
        """Whether the turn has ended, and its agent was not told to stop or has stopped."""
        if live.phase is not Phase.FENCED:
            return live.phase is Phase.ENDED
        # An agent at work in its conversation for another turn is at work for both: see merge.
        return any(other.is_at_work for other in self._known.line(live.turn.conversation))

    # Conversations. Of all it holds that another caller's is as if it were not there.

    async def conversation(self, conversation: str) -> Conversation | None:
        """Raises StoreUnavailable."""
        if self._sharing is not None:
            await self._sharing.find_living(conversation)
        turns = await self._store.turns(conversation)
        line = tuple(self._known.line(conversation))
        if self._sharing is not None:
            line = self._sharing.in_order(line)
        return Conversation(conversation, turns, line) if turns or line else None

    async def conversations(self, caller: str, count: int) -> tuple[list[Summary], int]:
        """The caller's, those with a turn that lives first and then by name; how many in all.

        `count` of them at most; 0 means all. Raises StoreUnavailable.
        """
        living = await self._lines(caller)
        most = count + len(living) if count else 0
        found, total = await self._store.conversations(scoped(caller, ""), most)
        turns = dict(found)
        for one in living:
            if one not in turns:
                turns[one] = await self._store.turns(one)
                total += not turns[one]
        names = [*sorted(living), *(one for one in found if one not in living)][: count or None]
        return [Summary(one, turns[one], *living.get(one, (0, 0))) for one in names], total

    async def _lines(self, caller: str) -> dict[str, tuple[int, int]]:
        """The caller's conversations with turns that have not ended: how many wait and run."""
        if self._sharing is not None:
            return await self._sharing.lines(caller)
        lines = dict[str, tuple[int, int]]()
        for one in self._known.conversations():
            if owns(caller, one):
                states = [live.state for live in self._known.line(one)]
                lines[one] = states.count(State.WAITING), states.count(State.RUNNING)
        return lines

    async def forget(self, conversation: str, idle_since: float | None = None) -> bool:
        """Delete its history and its ended turns. Raises ConversationBusy, StoreUnavailable.

        Nothing in memory changes before the store has; turns that come meanwhile wait.

        idle_since  as of `Store.forget`, which tells whether it is gone.
        """
        if self._known.line(conversation) or conversation in self._forgetting:
            raise ConversationBusy
        done = self._forgetting[conversation] = asyncio.get_running_loop().create_future()
        try:
            if not await self._store.forget(conversation, idle_since):
                return False
            self._agent.forget(conversation)
            self._known.forget(conversation)
            self._keys.forget(conversation)
            return True
        finally:
            del self._forgetting[conversation]
            done.set_result(None)

    # A turn's start and end.

    def _note_refusal(self, turn: Turn, error: TurnError) -> None:
        self.refusals[turn.caller, type(error)] += 1
        self.observers.refused(turn, error)

    def _start(self, live: LiveTurn, in_background: bool) -> None:
        turn = live.turn
        if in_background and turn.deadline_s is None:
            # Nobody waits for it whose patience could end.
            turn = replace(turn, deadline_s=inf)
        if (turn.strategy or self.settings.strategy.name) in STOPPING and self._resumes(turn):
            # Answers are not stopped. Others that come meanwhile wait, and then find nothing open:
            # or the agent might use a tool twice that was approved once. A message waits too: it
            # would be refused for the requests that were open again.
            turn = replace(turn, strategy="queue")
        live.ticket = self._strategy.submit(turn)
        self._known.add(live)
        live.ticket.add_done_callback(partial(self._settling.settled, live))
        self.observers.accepted(live)

    def _resumes(self, turn: Turn) -> bool:
        """Whether it, or a turn of its conversation that has not ended, answers requests."""
        line = self._known.line(turn.conversation)
        return any(map(requests.resumes, (turn, *(live.turn for live in line))))

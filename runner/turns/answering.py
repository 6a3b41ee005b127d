"""One run of a turn: what the strategy's `answer` does here. History, agent, commit."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from math import inf
from time import monotonic

import structlog
from pydantic_core import from_json

from runner.agents.base import CURRENT, Agent, Asked, CurrentTurn, Message, Said, Told
from runner.agents.requests import Decision
from runner.store.base import (
    AgentState,
    NothingKept,
    Record,
    Store,
    StoreUnavailable,
    whatever_it_raises,
)
from runner.store.history import History
from runner.turns import requests
from runner.turns.content import NO_CONTENT, Besides, Content
from runner.turns.journal import Journal
from runner.turns.known_turns import KnownTurns
from runner.turns.live_turn import LiveTurn
from runner.turns.observer import Observer
from runner.turns.said import after, shown
from runner.turns.seen import Seen
from strategies import Attempt, Reply, State, Turn

# Names of the module: in Python 3.11 `State.RUNNING` takes ten times as long.
RUNNING, ANSWERED, INTERRUPTED = State.RUNNING, State.ANSWERED, State.INTERRUPTED

CANCELLED = Said("The requests were dropped, and nothing was done about them.")
"""In the agent's place, to a client that answers none of its requests."""

Before = tuple[AgentState | None, History]
"""What a turn begins with, as `Store.before` gives it."""

log = structlog.get_logger(__name__)


class Answering:
    """Asks the agent and keeps message and reply together; `answer` is given to the strategy.

    history_turns   the agent is given the last so many turns of its conversation; None for all.
    turn_timeout_s  for how long a turn may run.
    seen           what the agent has seen of each conversation, where others may go on with it.
    """

    def __init__(
        self,
        agent: Agent,
        store: Store,
        known: KnownTurns,
        journal: Journal,
        observer: Observer,
        history_turns: int | None = None,
        turn_timeout_s: float | None = None,
        seen: Seen | None = None,
    ) -> None:
        self.agent = agent
        self.store = store
        self._known = known
        self._journal = journal
        self._observer = observer
        self._history_turns = history_turns
        self._seen = seen
        self._turn_timeout_s = inf if turn_timeout_s is None else turn_timeout_s

    async def answer(self, turn: Turn, attempt: Attempt) -> Reply:
        """As `strategies.Answer`."""
        lives = self._lives(turn)
        content = turn.more if isinstance(turn.more, Content) else NO_CONTENT
        is_called = False
        try:
            with _nothing_kept_yet:
                form = self.agent.about.state_form
                left, history = await self.store.before(
                    turn.conversation, form, self._history_turns
                )
                if left is not None or content.resume is not None:
                    requests.check(left, content.resume)
                if with_row := [live for live in lives if live.row is not None]:
                    await self._journal.begin(with_row)
                    lives = self._lives(turn)  # Some of them may have ended meanwhile.
                if self._seen is not None:
                    self._seen.before(turn.conversation, history.last)
                is_called = True
                said, is_interrupted = await self._ask(
                    turn, content, (left, history), attempt, lives
                )
            attempt.seal()
            state = INTERRUPTED if is_interrupted else ANSWERED
            waited_s, ran_s = _answered(lives)
            record = Record(
                turn.id,
                turn.conversation,
                turn.message,
                said.text,
                tuple(waited_s),
                state,
                waited_s,
                ran_s,
                said.output,
                self._leaves(said, content, left),
                None if content.said is None else _said_with(content.said, said),
                content.past,
            )
            with whatever_it_raises:
                number = await self.store.commit(record)
            if self._seen is not None:
                self._seen.kept(turn.conversation, number)
        except BaseException:
            # The turn is not in the history, so it must not be in the agent's memory either.
            if is_called:
                self.agent.not_kept(turn.conversation)
            raise
        finally:
            for live in lives:
                if live.is_at_work:
                    live.stop()
            if is_called:
                self._observer.stopped([live for live in lives if live.counts])
        besides = Besides(said.output, said.requests) if said.output or said.requests else None
        return Reply(said.text, number, is_interrupted, besides)

    def _lives(self, turn: Turn) -> list[LiveTurn]:
        """The turn, or all that were merged into it and have not ended."""
        known = (self._known.living(part.id) for part in turn.merged or (turn,))
        return [live for live in known if live is not None]

    async def _ask(
        self,
        turn: Turn,
        content: Content,
        before: Before,
        attempt: Attempt,
        lives: list[LiveTurn],
    ) -> tuple[Said, bool]:
        """What the agent says, or had said when a newer turn took its place, and True."""
        for live in lives:
            live.call()
        self._known.line_moved(turn.conversation)
        self._observer.called([live for live in lives if live.counts])
        if content.resume == "cancel":
            return CANCELLED, False
        pieces: list[str] = []

        def hear(piece: str | Told) -> None:
            if isinstance(piece, str):
                pieces.append(piece)
            for live in lives:
                live.say(piece)

        current = CURRENT.set(self._current(turn, content, lives))
        try:
            return await self.agent.answer(self._asked(turn, content, *before), hear), False
        except asyncio.CancelledError:
            # What was said is not in the state of an agent that was stopped in the middle.
            if not attempt.interrupted or not pieces or self.agent.about.state_form:
                raise
            self.agent.not_kept(turn.conversation)
            return Said("".join(pieces)), True
        finally:
            CURRENT.reset(current)

    def _current(self, turn: Turn, content: Content, lives: list[LiveTurn]) -> CurrentTurn:
        attempts = max((live.attempts for live in lives), default=1)
        ends_s = self._turn_timeout_s
        if turn.deadline_s is not None:
            tickets = [live.ticket for live in lives if live.ticket is not None]
            waited_s = max((ticket.waited_s for ticket in tickets), default=0.0)
            ends_s = min(ends_s, turn.deadline_s - waited_s)
        first = lives[0] if lives else None
        return CurrentTurn(
            turn.id,
            turn.conversation,
            attempts,
            turn.caller,
            content.metadata,
            _decisions(content),
            monotonic() + ends_s,
            "" if first is None else first.origin.request_id,
            "" if first is None else first.trace_id,
        )

    def _asked(
        self, turn: Turn, content: Content, left: AgentState | None, before: History
    ) -> Asked:
        history = self._history(content, before)
        state = from_json(left.state) if left is not None and left.state is not None else None
        if self.agent.about.state_form and left is None and len(history):
            log.warning("the agent does not know the turns before this one", turn_id=turn.id)
        said = turn.conversation, turn.message, history, state
        return Asked(*said, content.parts, _decisions(content))

    def _history(self, content: Content, history: History) -> Sequence[Message]:
        if content.past and not len(history):
            return _as_messages(content.past[-(self._history_turns or 0) :])
        return history

    def _leaves(self, said: Said, content: Content, left: AgentState | None) -> AgentState | None:
        """What the turn leaves for the next one; None: what there is stays."""
        form, is_open = self.agent.about.state_form, left is not None and left.requests is not None
        if content.resume == "cancel":
            assert left is not None
            return AgentState(left.form, left.before)
        if said.requests is not None:
            before = None if left is None else left.before if is_open else left.state
            return AgentState(form, said.state, said.requests, before)
        return AgentState(form, said.state) if form or is_open else None


def _as_messages(past: Sequence[tuple[str, str]]) -> list[Message]:
    messages: list[Message] = []
    for message, reply in past:
        messages.append({"role": "user", "content": message})
        messages.append({"role": "assistant", "content": reply})
    return messages


def _said_with(before: str, said: Said) -> str:
    """The digest of all that was said, when this is said too."""
    return after(before, "assistant", shown(said.text, said.requests))


def _decisions(content: Content) -> Mapping[str, Decision] | None:
    return None if isinstance(content.resume, str) else content.resume


class _NothingKeptYet:
    """Whatever a store cannot tell of itself: the reply was not given to it yet."""

    def __enter__(self) -> None:
        """A plain class: see `whatever_it_raises`."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, StoreUnavailable) and not isinstance(error, NothingKept):
            raise NothingKept from error.__cause__ or error


_nothing_kept_yet = _NothingKeptYet()


def _answered(lives: list[LiveTurn]) -> tuple[dict[str, float], float]:
    """For how long each of those waited that are being answered, and for how long all ran."""
    # By the tickets: one that has just been withdrawn from a merged turn may be the last to
    # know of it, as its ending is being kept, and this is not to come before that.
    waited_s, ran_s = dict[str, float](), 0.0
    for live in lives:
        ticket = live.ticket
        if ticket is not None and ticket.state is RUNNING:
            waited_s[ticket.turn.id] = ticket.waited_s
            ran_s = max(ran_s, ticket.ran_s)
    return waited_s, ran_s

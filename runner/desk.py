"""One turn's way behind the strategy: history, agent, commit."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from runner.agents.base import CURRENT, Agent, CurrentTurn, Message
from runner.store.base import Record, Store, StoreUnavailable
from runner.turns.book import Book
from runner.turns.live import LiveTurn
from strategies import Attempt, Reply, State, Turn


class Desk:
    """Connects the agent and the store; `answer` is what the strategy is given."""

    def __init__(
        self, agent: Agent, store: Store, book: Book, history_turns: int | None = None
    ) -> None:
        self.history_turns = history_turns
        self.agent = agent
        self.store = store
        self.book = book

    async def answer(self, turn: Turn, attempt: Attempt) -> Reply:
        """Ask the agent, and keep message and reply together. As `strategies.Answer`."""
        known = (self.book.get(part.id) for part in turn.merged or (turn,))
        lives = [live for live in known if live is not None]
        try:
            await self._begin(lives)
            text, interrupted = await self._ask(turn, attempt, lives)
            attempt.seal()
            state = State.INTERRUPTED if interrupted else State.ANSWERED
            # The tickets', for one that has just been withdrawn from a merged turn may be the
            # last to know: its ending is being kept, and this is not to come before it.
            answers = tuple(live.turn.id for live in lives if _runs(live))
            record = Record(turn.id, turn.conversation, turn.message, text, answers, state)
            number = await self.store.commit(record)
        except BaseException:
            # The turn is not in the history, so it must not be in the agent's memory either.
            self.agent.forget(turn.conversation)
            raise
        finally:
            for live in lives:
                live.stopped()
        for live in lives:
            if not live.said:  # An agent without pieces says all at once.
                live.say(text)
        return Reply(text, number, interrupted)

    async def _begin(self, lives: list[LiveTurn]) -> None:
        """Write down that the agent is about to be called, where the turn itself is."""
        written = [live for live in lives if live.written is not None]
        for live in written:
            assert live.written is not None
            if not await asyncio.shield(live.written):
                raise StoreUnavailable(outcome="not_started")
        if written:
            try:
                await self.store.begin([live.turn.id for live in written])
            except StoreUnavailable as error:
                error.outcome = "not_started"
                raise

    async def _ask(self, turn: Turn, attempt: Attempt, lives: list[LiveTurn]) -> tuple[str, bool]:
        """The agent's reply, or what it had said when a newer turn took its place."""
        history = self._history(turn.conversation)
        for live in lives:
            live.begin()
        self.book.line_moved(turn.conversation)
        attempts = max((live.attempts for live in lives), default=1)
        CURRENT.set(CurrentTurn(turn.id, turn.conversation, attempts))
        said: list[str] = []

        def emit(piece: str) -> None:
            said.append(piece)
            for live in lives:
                live.say(piece)

        try:
            text = await self.agent.answer(turn.conversation, turn.message, history, emit)
        except asyncio.CancelledError:
            if not attempt.interrupted or not said:
                raise
            # It stopped in the middle, so its own memory of the conversation is worth nothing.
            self.agent.forget(turn.conversation)
            return "".join(said), True
        return text, False

    def _history(self, conversation: str) -> Sequence[Message]:
        if not self.agent.about.wants_history:
            return ()
        return self.store.history(conversation, self.history_turns)


def _runs(live: LiveTurn) -> bool:
    return live.ticket is not None and live.ticket.state is State.RUNNING

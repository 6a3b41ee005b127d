"""One run of a turn: what the strategy's `answer` does here. History, agent, commit."""

from __future__ import annotations

import asyncio

from runner.agents.base import CURRENT, Agent, CurrentTurn
from runner.store.base import NothingKept, Record, Store, StoreUnavailable, whatever_it_raises
from runner.turns.journal import Journal
from runner.turns.known_turns import KnownTurns
from runner.turns.live_turn import LiveTurn
from strategies import Attempt, Reply, State, Turn

# Names of the module: in Python 3.11 `State.RUNNING` takes ten times as long.
RUNNING, ANSWERED, INTERRUPTED = State.RUNNING, State.ANSWERED, State.INTERRUPTED


class Answering:
    """Asks the agent and keeps message and reply together; `answer` is given to the strategy.

    history_turns  the agent is given the last so many turns of its conversation; None for all.
    """

    def __init__(
        self,
        agent: Agent,
        store: Store,
        known: KnownTurns,
        journal: Journal,
        history_turns: int | None = None,
    ) -> None:
        self.agent = agent
        self.store = store
        self._known = known
        self._journal = journal
        self._history_turns = history_turns

    async def answer(self, turn: Turn, attempt: Attempt) -> Reply:
        """As `strategies.Answer`."""
        lives = self._lives(turn)
        try:
            with _nothing_kept_yet:
                if with_row := [live for live in lives if live.row is not None]:
                    await self._journal.begin(with_row)
                    lives = self._lives(turn)  # Some of them may have ended meanwhile.
                text, is_interrupted = await self._ask(turn, attempt, lives)
            attempt.seal()
            state = INTERRUPTED if is_interrupted else ANSWERED
            said = (turn.id, turn.conversation, turn.message, text)
            waited_s, ran_s = _answered(lives)
            record = Record(*said, tuple(waited_s), state, waited_s, ran_s)
            with whatever_it_raises:
                number = await self.store.commit(record)
        except BaseException:
            # The turn is not in the history, so it must not be in the agent's memory either.
            self.agent.forget(turn.conversation)
            raise
        finally:
            for live in lives:
                if live.is_at_work:
                    live.stop()
        return Reply(text, number, is_interrupted)

    def _lives(self, turn: Turn) -> list[LiveTurn]:
        """The turn, or all that were merged into it and have not ended."""
        known = (self._known.living(part.id) for part in turn.merged or (turn,))
        return [live for live in known if live is not None]

    async def _ask(self, turn: Turn, attempt: Attempt, lives: list[LiveTurn]) -> tuple[str, bool]:
        """The agent's reply, or what it had said when a newer turn took its place, and True."""
        for live in lives:
            live.call()
        self._known.line_moved(turn.conversation)
        attempts = max((live.attempts for live in lives), default=1)
        current = CURRENT.set(CurrentTurn(turn.id, turn.conversation, attempts))
        pieces: list[str] = []

        def emit(piece: str) -> None:
            pieces.append(piece)
            for live in lives:
                live.say(piece)

        history = self.store.history(turn.conversation, self._history_turns)
        try:
            text = await self.agent.answer(turn.conversation, turn.message, history, emit)
        except asyncio.CancelledError:
            if not attempt.interrupted or not pieces:
                raise
            # It stopped in the middle, so its own memory of the conversation is worth nothing.
            self.agent.forget(turn.conversation)
            return "".join(pieces), True
        finally:
            CURRENT.reset(current)
        return text, False


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

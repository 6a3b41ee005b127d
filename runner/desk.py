"""One turn's way behind the strategy: history, agent, commit."""

from __future__ import annotations

from runner.agents.base import Agent
from runner.store.base import Record, Store, StoreUnavailable
from strategies import Attempt, Reply, Turn


class Desk:
    """Connects the agent and the store; `answer` is what the strategy is given."""

    def __init__(self, agent: Agent, store: Store) -> None:
        self.agent = agent
        self.store = store

    async def answer(self, turn: Turn, attempt: Attempt) -> Reply:
        """Ask the agent, and keep message and reply together. As `strategies.Answer`."""
        try:
            text = await self._ask(turn)
            attempt.seal()
            number = await self.store.commit(Record(turn.id, turn.conversation, turn.message, text))
        except BaseException:
            # The turn is not in the history, so it must not be in the agent's memory either.
            self.agent.forget(turn.conversation)
            raise
        return Reply(text, number)

    async def _ask(self, turn: Turn) -> str:
        conversation = turn.conversation
        try:
            wants_history = self.agent.about.wants_history
            history = await self.store.history(conversation) if wants_history else []
        except StoreUnavailable as error:
            error.outcome = "not_started"
            raise
        return await self.agent.answer(conversation, turn.message, history)

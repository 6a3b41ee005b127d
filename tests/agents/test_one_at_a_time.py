"""An agent that answers one turn at a time, and a turn that was given up and goes on in it."""

from __future__ import annotations

import asyncio

from runner.agents.base import About, Asked
from runner.agents.boundary import Boundary
from runner.agents.callee import as_callee
from runner.agents.kinds import SharedAgent
from runner.agents.threads import AgentHangs, Threads
from strategies import AgentFailed, Attempt, Limits, Reply, Strategy, Ticket, Turn, TurnTimeout
from strategies.lock import Lock
from strategies.queue import Queue
from strategies.testing import run
from tests.support.keepers import Notebook

ABOUT = About("notebook", "object", wants_history=False, single_conversation=False)
LIMITS = Limits(max_running=1, turn_timeout_s=30.0)


class Served:
    """The object behind a strategy; a turn's conversation is its message."""

    def __init__(self, make: type[Queue | Lock] = Queue) -> None:
        boundary = Boundary(Threads(1), 1_000)
        callee = as_callee(Notebook(), boundary.in_thread)
        assert callee is not None
        self.agent = SharedAgent(ABOUT, callee, boundary)
        self.strategy: Strategy = make(self._answer, LIMITS)

    async def _answer(self, turn: Turn, attempt: Attempt) -> Reply:
        said = await self.agent.answer(Asked(turn.conversation, turn.message))
        attempt.seal()
        return Reply(said.text)

    def ask(self, message: str, deadline_s: float | None = None) -> Ticket:
        return self.strategy.submit(Turn(message, message, message, deadline_s))


async def outcome(ticket: Ticket) -> type:
    """What the turn came to, as a type."""
    try:
        return type(await ticket.reply())
    except Exception as error:
        return type(error)


def test_where_the_agent_hangs_the_other_turns_fail_soon_and_later_ones_at_once() -> None:
    """I-7, I-13"""

    async def scenario() -> None:
        served, loop = Served(), asyncio.get_running_loop()
        hung = served.ask("ignore 60", deadline_s=1.0)
        waiting = [served.ask(f"m{number}") for number in range(3)]
        assert await outcome(hung) is TurnTimeout
        assert not served.agent.hangs
        assert [await outcome(one) for one in waiting] == [AgentHangs] * 3
        assert served.agent.hangs
        came_at = loop.time()
        assert came_at < 8.0
        assert await outcome(served.ask("later")) is AgentHangs
        assert loop.time() == came_at

    run(scenario())


def test_when_the_agent_that_hung_is_back_all_is_as_before() -> None:
    async def scenario() -> None:
        served = Served()
        served.ask("ignore 60", deadline_s=1.0)
        assert await outcome(served.ask("m")) is AgentHangs
        await asyncio.sleep(60)
        assert not served.agent.hangs
        tickets = [served.ask("sleep 20"), served.ask("m")]
        assert [await outcome(one) for one in tickets] == [Reply, Reply]

    run(scenario())


def test_an_agent_that_takes_a_moment_to_stop_costs_the_other_turns_that_moment() -> None:
    async def scenario() -> None:
        served = Served()
        served.ask("ignore 5", deadline_s=1.0)
        assert await outcome(served.ask("m")) is Reply

    run(scenario())


def test_a_long_turn_that_was_not_given_up_is_waited_for() -> None:
    async def scenario() -> None:
        served = Served(Lock)  # Which starts the second while the first runs.
        tickets = [served.ask("sleep 20"), served.ask("raise ValueError"), served.ask("m")]
        assert [await outcome(one) for one in tickets] == [Reply, AgentFailed, Reply]

    run(scenario())


def test_a_turn_that_leaves_the_line_is_not_let_in() -> None:
    async def scenario() -> None:
        served = Served(Lock)
        first, second, third = served.ask("sleep 5"), served.ask("a"), served.ask("b")
        await asyncio.sleep(1)
        second.cancel()
        assert [await outcome(one) for one in (first, third)] == [Reply, Reply]
        assert "a |" not in third.result().text

    run(scenario())

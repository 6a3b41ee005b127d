"""An agent that speaks a word a second and can stop in the middle, for what is built on that."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from strategies import Attempt, Limits, Reply, State, Strategy, Ticket, Turn, TurnError
from strategies.testing.stubborn import ignore_cancellation


class Talk:
    """A strategy over the agent. The history is in `kept`, the agent's calls in `asked`."""

    def __init__(self, factory: Callable[..., Strategy], **limits: object) -> None:
        self.kept: list[tuple[str, str]] = []
        self.asked: list[str] = []
        self.strategy = factory(self.answer, Limits(**limits))  # type: ignore[arg-type]
        self._serial = 0

    def say(
        self, message: str, strategy: str | None = None, deadline_s: float | None = None
    ) -> Ticket:
        """`3 hello` is answered with three words, one each second; `stuck 3` does not stop."""
        self._serial += 1
        return self.strategy.submit(
            Turn(f"t{self._serial}", "c", message, deadline_s, strategy=strategy)
        )

    async def answer(self, turn: Turn, attempt: Attempt) -> Reply:
        self.asked.append(turn.message)
        said: list[str] = []
        interrupted = False
        try:
            first, second = turn.message.split()[:2]
            if first == "stuck":
                await ignore_cancellation(float(second))
            else:
                for number in range(int(first)):
                    await asyncio.sleep(1)
                    said.append(str(number))
            if second == "slowly":
                attempt.seal()
                await asyncio.sleep(3)
        except asyncio.CancelledError:
            if not attempt.interrupted or not said:
                raise
            interrupted = True
        attempt.seal()
        await asyncio.sleep(0.1)
        self.kept.append((turn.message, " ".join(said)))
        return Reply(" ".join(said), len(self.kept), interrupted)


async def ending(ticket: Ticket) -> tuple[State, str]:
    """The state in which it ended, with its reply or its outcome."""
    try:
        reply = await ticket.reply()
    except TurnError as error:
        return ticket.state, error.outcome
    return ticket.state, reply.text

"""The rig: a strategy over a scripted agent, whose turns do what their messages say.

    rig = Rig(MyStrategy)
    running, waiting = rig.submit("work 2"), rig.submit("work 1")
    assert await ended(waiting) == (State.ANSWERED, "t2")
    assert waiting.waited_s == 2.0

    work S       takes S seconds; its reply is its turn's id, and is kept
    say N        says a word a second, N of them, which are its reply; it takes KEEPING_S
                 to keep them, and those that it has said when it is interrupted too
    hang         waits for ever
    stubborn S   ignores its cancellation for S seconds
    raise NAME   raises the error of this name, one of ERRORS
    cancel       cancels its own task
    keep S       seals at once, and takes S seconds to keep its reply
    break S      the same, and then it fails
    unsealed S   takes S seconds and never seals
    nothing      ends without a reply

What follows in a message is for the reader. Of merged turns the first one says what to
do; all of them are kept, in order.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from ..base import Attempt, Limits, Reply, Strategy, Ticket, Turn
from ..errors import ServerFull, State, TurnError
from .stubborn import ignore_cancellation

Factory = Callable[..., Strategy]
"""Called as `factory(answer, limits)`; a strategy's class is one."""

TIMEOUT_S = 10.0
KEEPING_S = 0.1
LIMITS = Limits(max_running=4, turn_timeout_s=TIMEOUT_S)
MARK: ContextVar[str] = ContextVar("MARK", default="unset")
"""What the rig notes of the context in which its agent is called."""

ERRORS: dict[str, type[BaseException]] = {
    error.__name__: error
    for error in (
        Exception, ZeroDivisionError, asyncio.CancelledError, GeneratorExit, StopAsyncIteration,
        SystemExit, KeyboardInterrupt, RecursionError, MemoryError, ServerFull,
    )
}  # fmt: skip


class Rig:
    """The strategy that `factory` makes, its agent, and what was seen of both.

    asked     the turns for which the agent was called, as it was given them.
    calls     the ids of the same, one for each of those that were merged.
    kept      the ids of the turns in each conversation's history, in their order.
    overlaps  the ids of turns that ran beside another of their conversation.
    marks     the value of MARK in each call's context.
    """

    def __init__(self, factory: Factory, limits: Limits = LIMITS) -> None:
        self.asked: list[Turn] = []
        self.calls: list[str] = []
        self.kept: dict[str, list[str]] = {}
        self.overlaps: list[str] = []
        self.marks: list[str] = []
        self.told_to_stop_after_seal = False
        self._inside: Counter[str] = Counter()
        self._kept_turns: Counter[str] = Counter()
        self._serial = 0
        self.strategy = factory(self.answer, limits)

    def submit(
        self, message: str = "work 1", conversation: str = "c", *, id: str = "", **more: Any
    ) -> Ticket:
        """Submit a turn; where it has no id, the first is `t1`. `more`: other fields of a Turn."""
        self._serial += 1
        return self.strategy.submit(Turn(id or f"t{self._serial}", conversation, message, **more))

    def try_submit(self, message: str = "work 1", conversation: str = "c") -> Ticket | None:
        """None where the strategy lets nothing wait."""
        try:
            return self.submit(message, conversation)
        except TurnError:
            return None

    async def occupy(self, seconds: float, conversation: str = "c") -> Ticket:
        """A turn that runs and cannot be interrupted, for its reply is being kept."""
        ticket = self.submit(f"keep {seconds}", conversation)
        while ticket.turn.id not in self.calls:
            await asyncio.sleep(0)
        return ticket

    @property
    def messages(self) -> list[str]:
        """What the agent was asked, in the order of its calls."""
        return [turn.message for turn in self.asked]

    async def answer(self, turn: Turn, attempt: Attempt) -> Reply:
        """What the strategy is given."""
        parts = [part.id for part in turn.merged or (turn,)]
        self.asked.append(turn)
        self.calls += parts
        self.marks.append(MARK.get())
        self._inside[turn.conversation] += 1
        if self._inside[turn.conversation] > 1:
            self.overlaps.append(turn.id)
        try:
            text, interrupted = await self._speak(turn.message, attempt)
        finally:
            self._inside[turn.conversation] -= 1
        self.kept.setdefault(turn.conversation, []).extend(parts)
        self._kept_turns[turn.conversation] += 1
        return Reply(text or "+".join(parts), self._kept_turns[turn.conversation], interrupted)

    async def _speak(self, message: str, attempt: Attempt) -> tuple[str, bool]:
        """Do what the message says, up to the moment at which its reply is kept."""
        verb, argument = (*message.split(), "1", "1")[:2]
        if verb == "say":
            return await self._say(int(argument), attempt)
        if verb in ("keep", "break"):
            attempt.seal()
            await self._keep_slowly(float(argument))
        else:
            await perform(verb, argument)
        if verb == "break":
            raise OSError("the connection was lost, who knows when")
        if verb == "nothing":
            return None  # type: ignore[return-value]  # A mistake that is easily made.
        if verb not in ("keep", "unsealed"):
            attempt.seal()
        return "", False

    async def _say(self, words: int, attempt: Attempt) -> tuple[str, bool]:
        said: list[str] = []
        try:
            for number in range(words):
                await asyncio.sleep(1)
                said.append(str(number))
        except asyncio.CancelledError:
            if not attempt.interrupted or not said:
                raise
        attempt.seal()
        await asyncio.sleep(KEEPING_S)
        return " ".join(said), len(said) < words

    async def _keep_slowly(self, seconds: float) -> None:
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            self.told_to_stop_after_seal = True
            raise


async def perform(verb: str, argument: str = "") -> None:
    """What an agent does between its call and its reply."""
    match verb:
        case "hang":
            await asyncio.Event().wait()
        case "stubborn":
            await ignore_cancellation(float(argument))
        case "raise":
            raise ERRORS[argument]
        case "cancel":
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
            await asyncio.sleep(0)
        case "nothing":
            await asyncio.sleep(0)
        case "work" | "unsealed":
            await asyncio.sleep(float(argument))
        case _:
            raise ValueError(f"the scripted agent cannot {verb!r}")


async def error_of(ticket: Ticket) -> TurnError | None:
    """Wait for the end of the turn: its error, or None where it was answered."""
    try:
        await ticket.reply()
    except TurnError as error:
        return error
    return None


async def ended(ticket: Ticket) -> tuple[State, str]:
    """Wait for the end of the turn: its state, and its reply's words or its error's outcome."""
    error = await error_of(ticket)
    return ticket.state, ticket.result().text if error is None else error.outcome

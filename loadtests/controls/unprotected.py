"""The control: no strategy at all. It shows what each strategy prevents; it is no product.

Load it by its dotted name, which also proves that strategies are pluggable:
`runner serve --strategy loadtests.controls.unprotected:Unprotected`.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable

from strategies import (
    AgentFailed,
    Answer,
    Limits,
    Load,
    Place,
    Reply,
    State,
    Ticket,
    Turn,
    TurnCancelled,
    TurnError,
)


class Unprotected:
    """Calls the agent at once for every message, as a handler without any protection does."""

    def __init__(self, answer: Answer, limits: Limits) -> None:
        self._answer = answer
        self._running: set[_Call] = set()
        self._ended: Counter[State] = Counter()

    def submit(self, turn: Turn) -> Ticket:
        call = _Call(turn, self._answer)
        self._running.add(call)
        call.task.add_done_callback(lambda task: self._end(call))
        return call

    def load(self) -> Load:
        running = len(self._running)
        accepted = running + sum(self._ended.values())
        return Load(running=running, accepted=accepted, ended=dict(self._ended))

    async def drain(self, timeout_s: float) -> None:
        if self._running:
            await asyncio.wait([call.task for call in self._running], timeout=timeout_s)

    def _end(self, call: _Call) -> None:
        self._running.discard(call)
        self._ended[call.state] += 1


class _Call:
    """One call of the agent: the ticket of a turn that nothing protects."""

    interrupted = False
    waited_s = 0.0

    def __init__(self, turn: Turn, answer: Answer) -> None:
        self.turn = turn
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self.task: asyncio.Task[Reply] = self._loop.create_task(self._run(answer))

    async def _run(self, answer: Answer) -> Reply:
        try:
            return await answer(self.turn, self)
        except TurnError:
            raise
        except BaseException as error:
            raise AgentFailed from error

    @property
    def state(self) -> State:
        if not self.task.done():
            return State.RUNNING
        if self.task.cancelled():
            return State.CANCELLED
        return State.ANSWERED if self.task.exception() is None else State.FAILED

    @property
    def ran_s(self) -> float:
        return self._loop.time() - self._began

    def seal(self) -> None:
        pass

    def place(self) -> Place | None:
        return None

    def cancel(self) -> bool:
        return self.task.cancel()

    def result(self) -> Reply:
        if self.task.cancelled():
            raise TurnCancelled
        return self.task.result()

    def add_done_callback(self, callback: Callable[[Ticket], object], /) -> None:
        self.task.add_done_callback(lambda task: callback(self))

    async def reply(self) -> Reply:
        return await asyncio.shield(self.task)

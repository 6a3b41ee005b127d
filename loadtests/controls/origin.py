"""The other control: the classic queue that this project began with, with its faults.

One `asyncio.Queue`, one worker, one future for each request. It keeps the order, and one
turn at a time runs. It also runs turns that nobody waits for any more, serves all
conversations in one line, and dies of one client that leaves: the future is cancelled,
`set_result` raises InvalidStateError, and the worker has ended. Nobody is told.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable

from strategies import (
    AgentFailed,
    Answer,
    Draining,
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


class Origin:
    """One line for everybody, without bounds; its worker does not survive a departed client."""

    def __init__(self, answer: Answer, limits: Limits) -> None:
        self._answer = answer
        self._line: asyncio.Queue[_Waiting] = asyncio.Queue()
        self._worker: asyncio.Task[None] | None = None
        self._open: set[_Waiting] = set()
        self._ended: Counter[State] = Counter()

    def submit(self, turn: Turn) -> Ticket:
        if self._worker is None:
            self._worker = asyncio.get_running_loop().create_task(self._work())
        waiting = _Waiting(turn)
        self._open.add(waiting)
        waiting.future.add_done_callback(lambda future: self._end(waiting))
        self._line.put_nowait(waiting)
        return waiting

    def load(self) -> Load:
        running = sum(waiting.state is State.RUNNING for waiting in self._open)
        return Load(
            waiting=len(self._open) - running,
            running=running,
            accepted=len(self._open) + sum(self._ended.values()),
            ended=dict(self._ended),
        )

    async def drain(self, timeout_s: float) -> None:
        if self._worker is not None:
            self._worker.cancel()
        for waiting in list(self._open):
            waiting.future.set_exception(Draining())
        await asyncio.sleep(0)

    async def _work(self) -> None:
        while True:
            waiting = await self._line.get()
            waiting.begin()
            try:
                reply = await self._answer(waiting.turn, waiting)
            except Exception as error:
                waiting.future.set_exception(
                    error if isinstance(error, TurnError) else AgentFailed()
                )
            else:
                waiting.future.set_result(reply)

    def _end(self, waiting: _Waiting) -> None:
        self._open.discard(waiting)
        self._ended[waiting.state] += 1


class _Waiting:
    """A future and its turn."""

    interrupted = False

    def __init__(self, turn: Turn) -> None:
        self.turn = turn
        self._loop = asyncio.get_running_loop()
        self.future: asyncio.Future[Reply] = self._loop.create_future()
        self._came_s = self._loop.time()
        self._began_s: float | None = None

    def begin(self) -> None:
        self._began_s = self._loop.time()

    @property
    def state(self) -> State:
        if self.future.cancelled():
            return State.CANCELLED
        if self.future.done():
            return State.ANSWERED if self.future.exception() is None else State.FAILED
        return State.WAITING if self._began_s is None else State.RUNNING

    def place(self) -> Place | None:
        return Place() if self.state is State.WAITING else None

    @property
    def waited_s(self) -> float:
        return (self._began_s or self._loop.time()) - self._came_s

    @property
    def ran_s(self) -> float:
        return 0.0 if self._began_s is None else self._loop.time() - self._began_s

    def seal(self) -> None:
        pass

    def cancel(self) -> bool:
        return self.future.cancel()

    def result(self) -> Reply:
        if self.future.cancelled():
            raise TurnCancelled
        return self.future.result()

    def add_done_callback(self, callback: Callable[[Ticket], object], /) -> None:
        self.future.add_done_callback(lambda future: callback(self))

    async def reply(self) -> Reply:
        try:
            return await self.future
        except asyncio.CancelledError:
            if not self.future.cancelled():
                self.future.cancel()  # The client left, and nothing shields the turn from it.
                raise
            raise TurnCancelled from None

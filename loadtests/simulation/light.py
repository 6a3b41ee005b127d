"""The agent of the comparison without its replies: it takes its time, and that is all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext

from loadtests.measures.attempts import LoggedCall
from loadtests.measures.records import parts
from loadtests.runs.agent import AgentFault
from loadtests.workloads.workload import Workload
from strategies import Turn


def attempts_of(turn: Turn) -> str:
    """`number.attempt` of the turn, whose id it is; of each, where several were merged."""
    return "+".join([part.id for part in turn.merged]) if turn.merged else turn.id


class Light:
    """Works as `runs.agent.Scheduled` does, and takes the seconds from the workload itself."""

    def __init__(
        self, note: Callable[[LoggedCall], None], clock: Callable[[], float], workload: Workload
    ) -> None:
        self._note, self._clock, self._arrivals = note, clock, workload.arrivals
        self._failed: set[int] = set()
        self._slot: AbstractAsyncContextManager[object] = (
            asyncio.Semaphore(workload.backends) if workload.backends else nullcontext()
        )

    async def work(self, conversation: str, name: str) -> None:
        """At what these attempts ask. Raises AgentFault where one is to fail."""
        called_s = self._clock()
        numbers = [int(part.partition(".")[0]) for part in parts(name)]
        # To the digits that the words have, of which the other agent learns it.
        work_s = max(round(self._arrivals[number].service_s, 6) for number in numbers)
        async with self._slot:
            began_s, ended = self._clock(), "stopped"
            try:
                await asyncio.sleep(work_s)
                ended = "failed" if self._fails(numbers) else "answered"
            finally:
                times = began_s, self._clock()
                self._note(LoggedCall(name, conversation, *times, ended, called_s))
        if ended == "failed":
            raise AgentFault("as the message says")

    def _fails(self, numbers: list[int]) -> bool:
        """Whether one of them is to fail and has not yet."""
        left = {n for n in numbers if self._arrivals[n].fails} - self._failed
        self._failed |= left
        return bool(left)

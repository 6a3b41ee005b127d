"""One trial, in a process of its own: turns of one conversation, overlapping or not.

    python -m loadtests.probe.trial TARGET STRATEGY TURNS STAGGER_S

STRATEGY "" is the serial trial: each turn after the one before. Every event is a JSON
line on stdout, flushed at once, so that a process which dies has said what it saw.
Turn 0 comes first and by itself: a factory makes its agent then. The last one, too,
is alone: its reply tells what the agent remembers.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from math import inf

from loadtests.controls import find
from loadtests.probe.memory import message, snapshot
from runner.agents.base import Agent, Asked, Hear, Said, unheard
from runner.agents.loader import load_agent
from runner.agents.threads import Threads
from runner.settings import StoreSettings
from runner.store.memory import MemoryStore
from runner.turns.answering import Answering
from runner.turns.journal import Journal
from runner.turns.known_turns import KnownTurns
from strategies import Limits, Strategy, Turn, TurnError

CONVERSATION = "default"


def main() -> None:
    target, strategy, turns, stagger_s = sys.argv[1:]
    # What the agent prints is not ours to read.
    lines = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    agent = load_agent(target, {}, threads=Threads(64), max_reply_bytes=2**20)
    trial = _Trial(agent, lines)
    asyncio.run(trial.run(strategy, int(turns), float(stagger_s)))
    # Threads of the agent that never end must not keep the process.
    os._exit(0)


class _Seen:
    """The agent, with a line for each call: what history it was given."""

    def __init__(self, agent: Agent, trial: _Trial) -> None:
        self.about = agent.about
        self.forget, self.not_kept = agent.forget, agent.not_kept
        self._agent, self._trial = agent, trial

    async def answer(self, asked: Asked, hear: Hear = unheard) -> Said:
        if self.about.wants_history:
            before = [said["content"] for said in asked.history if said["role"] == "user"]
            self._trial.say("called", message=asked.message, history=before)
        return await self._agent.answer(asked, hear)


class _Trial:
    def __init__(self, agent: Agent, lines: object) -> None:
        self._lines = lines
        self._agent = agent
        self._store = MemoryStore()
        journal = Journal(self._store, StoreSettings(), time.time)
        self._answering = Answering(_Seen(agent, self), self._store, KnownTurns(300.0), journal)

    def say(self, event: str, **fields: object) -> None:
        print(json.dumps({"event": event, **fields}), file=self._lines, flush=True)  # type: ignore[call-overload]

    async def run(self, name: str, turns: int, stagger_s: float) -> None:
        await self._store.open()
        factory = find(name or "queue")
        limits = Limits(turn_timeout_s=None, max_wait_s=inf)
        strategy = factory(self._answering.answer, limits)
        await self._turn(strategy, 0)
        began = time.monotonic()
        if name:
            await self._overlapping(strategy, turns, stagger_s)
        else:
            for number in range(1, turns + 1):
                await self._turn(strategy, number)
        self.say("took", seconds=time.monotonic() - began)
        self._say_memory()
        await self._turn(strategy, turns + 1)
        await strategy.drain(0.1)
        self.say("done")

    async def _overlapping(self, strategy: Strategy, turns: int, stagger_s: float) -> None:
        async def later(number: int) -> None:
            await asyncio.sleep(stagger_s * (number - 1))
            await self._turn(strategy, number)

        await asyncio.gather(*(later(number) for number in range(1, turns + 1)))

    async def _turn(self, strategy: Strategy, number: int) -> None:
        self.say("asked", turn=number)
        try:
            reply = await strategy.submit(Turn(str(number), CONVERSATION, message(number))).reply()
        except TurnError as error:
            cause = error.__cause__
            said = str(error) if cause is None else f"{type(cause).__name__}: {cause}"
            # A refusal is the strategy's; with a cause it is the agent's own failure.
            kind = "refused" if error.outcome == "not_started" else "failed"
            self.say(kind, turn=number, error=said[:500])
        else:
            self.say("answered", turn=number, text=reply.text[:2000])

    def _say_memory(self) -> None:
        self.say("memory", lists=snapshot(self._agent))


if __name__ == "__main__":
    main()

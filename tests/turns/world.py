"""Seeded lives of a server in virtual time: clients come, it is killed, it comes back.

All of it is real (service, journal, strategy) but the clock, the agent and the
disk. The disk takes its time, in order, and a kill falls before a write, after it, or
between it and its acknowledgement. What is judged: every turn that was promised has
one outcome, nobody is told two, and the agent is never called twice unmarked.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from math import inf
from random import Random
from typing import Any, TypeVar

from runner.agents import current_turn
from runner.agents.base import About, Asked, Hear, Message, Said, unheard
from runner.settings import OnRestart, Settings, StoreSettings
from runner.store.archive import KeptConversation, Snapshot
from runner.store.base import (
    AcceptedTurn,
    AgentState,
    Ending,
    NothingKept,
    Place,
    Record,
    StoreUnavailable,
)
from runner.store.history import History
from runner.store.memory import MemoryStore
from runner.store.timing import Took, untold
from runner.turns.live_turn import LiveTurn
from runner.turns.service import Service
from runner.turns.submission import Submission
from strategies import AgentFailed, Limits, Strategy, Turn, TurnError
from strategies.testing import VirtualLoop
from strategies.testing.clock import close

T = TypeVar("T")

PAUSES_S = (0.0, 0.0, 0.5, 1.0)


class Disk:
    """A store that survives its process. Calls are done one by one, and take their time."""

    durable = available = True
    lost = False

    def __init__(self, kept: MemoryStore, answered: set[str], rng: Random) -> None:
        self.took: Took = untold
        self._kept = kept
        self._answered = answered
        self._rng = rng
        self.is_dead = False
        self.may_fail = False
        self.unkept: set[str] = set()
        self._turn = asyncio.Lock()
        self._calls: set[asyncio.Task[Any]] = set()

    async def _do(self, call: Callable[[], Coroutine[Any, Any, T]]) -> T:
        async def work() -> T:
            async with self._turn:
                await asyncio.sleep(self._rng.choice(PAUSES_S))
                if self.is_dead or (self.may_fail and self._rng.random() < 0.03):
                    raise NothingKept
                result = await call()
                await asyncio.sleep(self._rng.choice(PAUSES_S))
                if self.may_fail and self._rng.random() < 0.02:
                    raise StoreUnavailable  # It is kept, and nobody knows.
            return result

        task = asyncio.get_running_loop().create_task(work())
        self._calls.add(task)
        task.add_done_callback(self._calls.discard)
        return await asyncio.shield(task)

    async def open(self) -> None:
        pass

    async def close(self) -> None:
        pass

    def history(self, conversation: str, turns: int | None = None) -> History:
        return History(self, conversation, turns)

    async def before(
        self, conversation: str, form: str, turns: int | None = None
    ) -> tuple[AgentState | None, History]:
        return await self.agent_state(conversation, form), self.history(conversation, turns)

    def span(self, conversation: str) -> tuple[int, int]:
        if self.is_dead or (self.may_fail and self._rng.random() < 0.03):
            raise NothingKept
        return self._kept.span(conversation)

    def read(self, conversation: str, first: int, last: int) -> Sequence[Sequence[Any]]:
        return self._kept.read(conversation, first, last)

    async def agent_state(self, conversation: str, form: str) -> AgentState | None:
        if self.is_dead or (self.may_fail and self._rng.random() < 0.03):
            raise NothingKept
        return await self._kept.agent_state(conversation, form)

    async def said(self, digest: str, most: int) -> list[str]:
        return await self._kept.said(digest, most)

    async def messages(self, conversation: str, count: int = 0) -> list[Message]:
        return await self._do(lambda: self._kept.messages(conversation, count))

    async def turns(self, conversation: str) -> int:
        return await self._do(lambda: self._kept.turns(conversation))

    async def commit(self, record: Record) -> int:
        async def commit() -> int:
            number = await self._kept.commit(record)
            self._answered.update(record.answers or (record.turn_id,))
            return number

        return await self._do(commit)

    async def conversations(self, prefix: str, limit: int) -> tuple[Mapping[str, int], int]:
        return await self._do(lambda: self._kept.conversations(prefix, limit))

    async def forget(self, conversation: str, idle_since: float | None = None) -> bool:
        return await self._do(lambda: self._kept.forget(conversation, idle_since))

    async def idle(self, since: float, most: int) -> list[str]:
        return await self._do(lambda: self._kept.idle(since, most))

    async def accept(self, turn: AcceptedTurn) -> None:
        await self._do(lambda: self._kept.accept(turn))

    async def begin(self, turn_ids: Sequence[str]) -> None:
        await self._do(lambda: self._kept.begin(turn_ids))

    async def end(self, turn_id: str, ending: Ending) -> None:
        self.unkept.add(turn_id)
        await self._do(lambda: self._kept.end(turn_id, ending))
        self.unkept.discard(turn_id)

    async def find(self, turn_id: str) -> AcceptedTurn | None:
        return await self._do(lambda: self._kept.find(turn_id))

    async def ended(
        self, conversation: str, before: Place | None, most: int
    ) -> tuple[list[Place], int]:
        return await self._do(lambda: self._kept.ended(conversation, before, most))

    # At the start, where there is nothing to race with.

    async def unfinished(self) -> list[AcceptedTurn]:
        return await self._kept.unfinished()

    async def keyed(self) -> list[AcceptedTurn]:
        return await self._kept.keyed()

    async def untold(self) -> list[AcceptedTurn]:
        return await self._kept.untold()

    async def hook(self, turn_id: str, webhook: str) -> bool:
        return await self._kept.hook(turn_id, webhook)

    async def told(self, turn_id: str) -> None:
        await self._kept.told(turn_id)

    async def shift(self, by_s: float) -> None:
        await self._kept.shift(by_s)

    async def prune(self, before: float, most: int) -> None:
        await self._kept.prune(before, most)

    def snapshot(self) -> AbstractContextManager[Snapshot]:
        return self._kept.snapshot()

    async def restore(self, conversations: Iterable[KeptConversation]) -> list[str]:
        return await self._kept.restore(conversations)


@dataclass
class Wish:
    """What one client wants, through all lives: its message answered, once."""

    message: str
    conversation: str
    key: str | None
    background: bool
    deadline_s: float | None
    cancels: bool
    turn_id: str = ""
    promised: set[str] = field(default_factory=set[str])
    told: Ending | None = None


class World:
    """One seed: some clients, some lives. `faults` has what was seen."""

    def __init__(
        self, seed: int, strategy: Callable[..., Strategy], make_service: type[Service] = Service
    ) -> None:
        self.rng = Random(seed)
        self.seed = seed
        self.strategy = strategy
        self.make_service = make_service
        self.faults: list[str] = []
        self.kept = MemoryStore()
        self.answered: set[str] = set()
        self.calls: dict[str, list[int]] = defaultdict(list)
        self.asked_as: dict[str, set[str]] = defaultdict(set)
        self.began_s = 0.0
        self.unkept: set[str] = set()
        self.on_restart: OnRestart = self.rng.choice(("run", "run", "fail"))
        self.wishes = [self._make_wish(number) for number in range(self.rng.randint(2, 6))]

    def _make_wish(self, number: int) -> Wish:
        rng = self.rng
        return Wish(
            message=f"m{number}",
            conversation=rng.choice("ab"),
            key=f"k{number}" if rng.random() < 0.7 else None,
            background=rng.random() < 0.6,
            deadline_s=rng.choice((2.0, 5.0)) if rng.random() < 0.15 else None,
            cancels=rng.random() < 0.15,
        )

    def fault(self, text: str) -> None:
        if text not in self.faults:
            self.faults.append(text)

    def run(self) -> list[str]:
        """Some lives that are cut off, and one that is not."""
        for life in range(self.rng.randint(0, 3)):
            self._live(life, self.rng.choice((0.5, 1.0, 1.5, 2.0, 3.0, 5.0)))
        self._live(99, None)
        self._check()
        return self.faults

    def _live(self, life: int, ends_s: float | None) -> None:
        loop = VirtualLoop(self.seed * 100 + life)
        loop.run_until_complete(self._serve(ends_s))
        self.began_s += loop.time()
        self.unkept |= self.disk.unkept
        self.disk.is_dead = True  # What its tasks do while they are put away counts for nothing.
        close(loop)

    async def _serve(self, ends_s: float | None) -> None:
        loop = asyncio.get_running_loop()
        store = StoreSettings(on_restart=self.on_restart, max_attempts=10)
        self.disk = Disk(self.kept, self.answered, self.rng)
        limits = Limits(max_running=self.rng.choice((1, 2)), turn_timeout_s=20.0, max_wait_s=inf)
        service = self.make_service(
            Settings(store=store),
            Scripted(self),
            self.disk,
            lambda answer: self.strategy(answer, limits),
            now=lambda: 1_000.0 + self.began_s + loop.time(),
        )
        await service.open()
        self.disk.may_fail = True
        clients = [loop.create_task(self._client(service, wish)) for wish in self.wishes]
        await asyncio.wait(clients, timeout=ends_s)
        if ends_s is None:
            while service.load().waiting or service.load().running:
                await asyncio.sleep(1)
            await asyncio.sleep(30)  # Endings that the disk did not take at first.
            await service.drain(0)
        for client in clients:
            if client.done() and client.exception() is not None:
                self.fault(f"a client failed: {client.exception()!r}")

    # A client: it asks until it was told an outcome, and remembers what it was told.

    async def _client(self, service: Service, wish: Wish) -> None:
        await asyncio.sleep(self.rng.choice((0.0, 0.5, 1.0, 2.0)))
        live = await self._ask(service, wish)
        if live is None:
            return
        if wish.cancels:
            await asyncio.sleep(self.rng.choice((0.0, 0.5, 2.0)))
            await service.cancel(live)
        if wish.background and await live.promise():
            wish.promised.add(live.turn.id)
        await live.until_ended()
        ending = live.ending
        if not self.disk.is_dead:
            wish.told = ending

    async def _ask(self, service: Service, wish: Wish) -> LiveTurn | None:
        if wish.told is not None:
            return None
        for _ in range(50):
            try:
                if wish.turn_id and not wish.key:
                    return await service.find(wish.turn_id)
                turn = Turn(
                    f"{wish.message}-{self.rng.getrandbits(40)}",
                    wish.conversation,
                    wish.message,
                    wish.deadline_s,
                )
                submission = Submission(turn, "continue", wish.key, respond_async=wish.background)
                live, _ = await service.submit(submission)
            except TurnError:
                await asyncio.sleep(1)
            else:
                wish.turn_id = live.turn.id
                return live
        return None

    def called(self, message: str) -> None:
        if self.disk.is_dead:
            return
        turn = current_turn()
        if "\n\n" not in message:  # Of merged turns only the first one's id is known here.
            self.asked_as[message].add(turn.id)
        seen = self.calls[turn.id]
        if seen and turn.attempt <= seen[-1]:
            self.fault(f"{turn.id} ran again as attempt {turn.attempt} after {seen}")
        seen.append(turn.attempt)

    # When all is over.

    def _check(self) -> None:
        ends, said = asyncio.run(self._kept())
        messages = [message for joined in said for message in joined.split("\n\n")]
        for message in set(messages):
            if messages.count(message) > 1:
                self.fault(f"{message} is in the history {messages.count(message)} times")
        for turn_id, ending in ends.items():
            if ending is None:
                self.fault(f"{turn_id} was accepted and has no outcome")
            elif (ending.reply is not None) != (turn_id in self.answered):
                self.fault(f"{turn_id} is {ending.state}, and the history says otherwise")
            elif ending.outcome == "not_started" and self.calls.get(turn_id) and not ending.reply:
                self.fault(f"{turn_id} was called for, and is said not to have started")
        for wish in self.wishes:
            self._check_wish(wish, ends)

    async def _kept(self) -> tuple[dict[str, Ending | None], list[str]]:
        """The endings of the accepted turns, and all messages of the history."""
        found = [await self.kept.find(turn_id) for turn_id in vars(self.kept)["_accepted"]]
        names, _ = await self.kept.conversations("", 0)
        said = [said["content"] for name in names for said in self.kept.history(name)[::2]]
        return {turn.id: turn.ending for turn in found if turn is not None}, said

    def _check_wish(self, wish: Wish, ends: Mapping[str, Ending | None]) -> None:
        if wish.key and len(self.asked_as[wish.message]) > 1:
            self.fault(f"{wish.message} ran as {self.asked_as[wish.message]}")
        if wish.promised - set(ends):
            self.fault(f"{wish.promised - set(ends)} was promised and is not written down")
        if wish.turn_id in self.unkept:
            return  # The disk refused its ending, and the kill came before it was asked again.
        told, kept = wish.told, ends.get(wish.turn_id)
        if told and kept and told.outcome != "unknown" and told.state is not kept.state:
            self.fault(f"{wish.turn_id} was told as {told} and kept as {kept}")
        if told and kept and told.reply != kept.reply and told.reply is not None:
            self.fault(f"{wish.turn_id} was told {told.reply!r} and kept as {kept.reply!r}")


class Scripted:
    """An agent that takes its time, fails now and then, and says what it was asked."""

    about = About("scripted", "for the test", wants_history=True, single_conversation=False)
    hangs = False

    def __init__(self, world: World) -> None:
        self._world = world

    async def answer(self, asked: Asked, hear: Hear = unheard) -> Said:
        self._world.called(asked.message)
        len(asked.history)
        rng = self._world.rng
        await asyncio.sleep(rng.choice((0.0, 0.5, 1.0, 3.0)))
        if rng.random() < 0.1:
            raise AgentFailed
        return Said(asked.message.upper())

    def forget(self, conversation: str) -> None:
        pass

    def not_kept(self, conversation: str) -> None:
        pass

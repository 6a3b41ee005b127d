"""Seeded lives of several servers on one Postgres, in virtual time.

Each server has an event loop of its own, and all have one clock. So one that is killed is never
stepped again, and one that is frozen is stepped later, as the operating system does it; no line
of either knows. The services are real, with their strategy, news, worker and channel; the
server of the database is `simulated`. What is judged is in `judge.py`.
"""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from math import inf
from random import Random
from typing import Literal, NoReturn

import structlog

from runner.agents import current_turn
from runner.settings import OnDisconnect, OnRestart, Settings, StoreSettings, StrategySettings
from runner.store.base import Ending
from runner.turns import ending as endings
from runner.turns.live_turn import LiveTurn
from runner.turns.service import Service
from runner.turns.submission import Submission
from strategies import Limits, Turn, TurnError
from strategies.testing.clock import close
from tests.engine.process import LEASE_S, Call, Gone, Process, SteppedLoop
from tests.engine.simulated_server import Server

TROUBLE_S = 25.0
"""So long servers are killed, frozen and cut off; then all must come to an end by itself."""

PEACE_S = 400.0
"""Within which it must."""

Policy = Literal["queue", "lock", "reject"]


@dataclass
class Wish:
    """What one client wants, whatever becomes of servers: its message answered, once.

    told     what the last of them said became of it.
    gave_up  it was cut off and has nothing by which to ask again.
    """

    message: str
    conversation: str
    key: str | None
    background: bool
    on_disconnect: OnDisconnect
    deadline_s: float | None
    priority: int
    cancels_after_s: float | None
    arrives_s: float
    patience_s: float
    turn_id: str = ""
    asked_at: float = 0.0
    told_at: float = inf
    is_promised: bool = False
    told: Ending | None = None
    gave_up: bool = False


class World:
    """One seed: some clients, some servers. `faults` has what was seen."""

    def __init__(self, seed: int, policy: Policy = "queue") -> None:
        self.seed = seed
        self.rng = rng = Random(seed)
        self.is_calm = rng.random() < 0.25
        self.now = 0.0
        self.loop = SteppedLoop(seed)
        self.server = Server(lambda: self.now)
        self.faults: list[str] = []
        on_restart: OnRestart = rng.choice(("run", "run", "fail"))
        self.settings = Settings(
            store=StoreSettings(lease_s=LEASE_S, on_restart=on_restart, max_attempts=20),
            strategy=StrategySettings(name=policy),
        )
        self.limits = Limits(
            max_running=rng.choice((1, 2)),
            max_waiting_per_conversation=rng.choice((2, 100)),
            turn_timeout_s=20.0,
        )
        self.processes: list[Process] = []
        self.active: list[Call] = []
        self.attempts: dict[str, list[int]] = {}
        self.asked_as: dict[str, set[str]] = {}
        self.refused: set[str] = set()
        self.wishes = [self._make_wish(number) for number in range(rng.randint(3, 9))]

    def _make_wish(self, number: int) -> Wish:
        rng = self.rng
        return Wish(
            message=f"m{number}",
            conversation=rng.choice("ab"),
            key=f"k{number}" if rng.random() < 0.6 else None,
            background=rng.random() < 0.5,
            on_disconnect=rng.choice(("cancel", "drop-waiting", "continue")),
            deadline_s=rng.choice((2.0, 6.0)) if rng.random() < 0.15 else None,
            priority=rng.choice((3, 3, 3, 3, 1, 6)),
            cancels_after_s=rng.choice((0.0, 0.5, 3.0)) if rng.random() < 0.2 else None,
            arrives_s=rng.choice((0.0, 0.0, 0.5, 1.0, 3.0, 8.0)),
            patience_s=rng.choice((1.0, 8.0, inf, inf)),
        )

    def fault(self, text: str) -> None:
        if text not in self.faults:
            self.faults.append(text)

    def run(self) -> list[str]:
        from tests.engine import judge

        with garbage_collected_on_demand(), told_of_errors(self.fault):
            for _ in range(self.rng.choice((2, 2, 3))):
                self.start()
            done = self.loop.create_task(self._play())
            try:
                self._turn_until(done)
                judge.judge(self)
            finally:
                self._put_away()
        return self.faults

    def start(self) -> Process:
        process = Process(self, len(self.processes))
        self.processes.append(process)
        return process

    # The clock.

    def _turn_until(self, done: asyncio.Task[None]) -> None:
        while not done.done() and self.now < TROUBLE_S + PEACE_S:
            steppable = [one.loop for one in self.processes if not (one.is_dead or one.is_frozen)]
            ready = [one for one in (self.loop, *steppable) if one.next_at() <= self.now]
            if not ready:
                thaws = [one.frozen_until for one in self.processes if one.is_frozen]
                at = min(*(one.next_at() for one in (self.loop, *steppable)), *thaws, 1e9)
                self.now = max(self.now, at)
                continue
            self.rng.shuffle(ready)
            for loop in ready:
                loop.step(self.now)
        if not done.done():
            self.fault(f"it does not come to an end: {[*self.server.line.rows.values()]}")
        elif done.exception() is not None:
            raise done.exception() or AssertionError

    def _put_away(self) -> None:
        """What is done meanwhile counts for nothing."""
        for process in self.processes:
            if not process.is_dead:
                self._listen_to(process)
                process.kill()
        for loop in (self.loop, *(process.loop for process in self.processes)):
            close(loop)

    def _listen_to(self, process: Process) -> None:
        for report in process.loop.reports:
            self.fault(f"asyncio reports {report}")

    # What happens.

    async def _play(self) -> None:
        clients = [self.loop.create_task(self._client(wish)) for wish in self.wishes]
        clients += [
            self.loop.create_task(self._canceller(wish, wish.cancels_after_s))
            for wish in self.wishes
            if wish.cancels_after_s is not None
        ]
        if not self.is_calm:
            await self._make_trouble()
        keeper = self.loop.create_task(self._keep_one_up())
        for client in clients:
            await client
        while self.server.line.rows:
            await asyncio.sleep(1)
        await asyncio.sleep(2 * LEASE_S)  # What is still on its way, and who was frozen.
        keeper.cancel()

    async def _keep_one_up(self) -> None:
        while True:
            if all(one.is_dead or one.is_leaving for one in self.processes):
                self.start()
            await asyncio.sleep(1)

    async def _make_trouble(self) -> None:
        rng = self.rng
        while self.now < TROUBLE_S:
            await asyncio.sleep(rng.choice((0.1, 0.5, 1.0, 2.0, 4.0)))
            alive = [one for one in self.processes if not one.is_dead]
            if not alive or (len(alive) < 2 and rng.random() < 0.5):
                self.start()
                continue
            self._trouble(rng.choice(alive))
        gc.collect()  # A task that nobody holds is gone now, in each run of this seed.
        for process in self.processes:
            process.link.is_cut = process.is_dead
            process.link.may_fail = False

    def _trouble(self, process: Process) -> None:
        rng = self.rng
        kind = rng.choice(("kill", "kill", "freeze", "freeze", "cut", "cut", "leave", "none"))
        if kind == "kill":
            process.kill()
        elif kind == "freeze":
            process.frozen_until = self.now + rng.choice((0.3, LEASE_S / 2, LEASE_S + 1.0, 9.0))
        elif kind == "cut":
            process.link.cut()
            back_s = rng.choice((0.0, 0.5, LEASE_S + 1.0))
            self.loop.call_later(back_s, self._mend, process)
        elif kind == "leave" and process.serves:
            leaving = self.loop.create_task(process.leave(rng.choice((0.0, 2.0, 10.0))))
            leaving.add_done_callback(lambda task: task.exception())

    def _mend(self, process: Process) -> None:
        process.link.is_cut = process.is_dead

    # A client: it asks until it is told an outcome.

    async def _client(self, wish: Wish) -> None:
        await asyncio.sleep(wish.arrives_s)
        while wish.told is None and not wish.gave_up:
            process = await self._some_process()
            try:
                async with asyncio.timeout(None if wish.patience_s == inf else wish.patience_s):
                    wish.told = await process.call(lambda p=process: self._ask(p, wish))  # type: ignore[misc]
                    wish.told_at = self.now
            except (Gone, TimeoutError):
                wish.gave_up = wish.key is None and not wish.is_promised
            except TurnError as refusal:
                self._refuse(wish, refusal)
            if wish.told is not None and wish.told.detail == endings.KEPT_FOR_LATER:
                wish.told = None
            await asyncio.sleep(self.rng.choice((0.0, 0.5, 1.0)))

    def _refuse(self, wish: Wish, refusal: TurnError) -> None:
        if wish.is_promised:
            return  # It cannot be looked up just now.
        if refusal.outcome == "not_started":
            self.refused.add(wish.turn_id)
        wish.gave_up = wish.key is None and refusal.outcome == "unknown"

    async def _some_process(self) -> Process:
        while True:
            if serving := [one for one in self.processes if one.serves]:
                return self.rng.choice(serving)
            await asyncio.sleep(0.5)

    async def _ask(self, process: Process, wish: Wish) -> Ending | None:
        """In the loop of the server."""
        service = process.service
        if wish.is_promised and (wish.key is None or self.rng.random() < 0.5):
            live = await service.find(wish.turn_id)
            if live is None:
                self.fault(f"{wish.turn_id} was promised, and {process.name} does not know it")
                return None
        else:
            live = await self._submit(service, wish)
        return await self._wait(process, wish, live)

    async def _submit(self, service: Service, wish: Wish) -> LiveTurn:
        named = f"{wish.message}-{self.rng.getrandbits(40)}"
        turn = Turn(named, wish.conversation, wish.message, wish.deadline_s, wish.priority)
        wish.asked_at = wish.asked_at or self.now
        if not wish.is_promised:
            wish.turn_id = named
        live, _ = await service.submit(
            Submission(turn, wish.on_disconnect, wish.key, respond_async=wish.background)
        )
        return live

    async def _wait(self, process: Process, wish: Wish, live: LiveTurn) -> Ending | None:
        """Until it has ended, or was promised, which is an answer too."""
        if wish.is_promised and live.turn.id != wish.turn_id:
            ending = self.server.accepted[wish.turn_id].ending
            if ending is None or not endings.frees_key(ending):
                self.fault(f"{wish.turn_id} was promised, and its key leads to {live.turn.id}")
        wish.turn_id = live.turn.id
        live.waiters += 1
        try:
            if wish.background and not wish.is_promised and await live.promise():
                if not process.is_dead:
                    wish.is_promised = True
                return None
            await live.until_ended()
        finally:
            live.leave()
        return live.ending

    async def _canceller(self, wish: Wish, after_s: float) -> None:
        await asyncio.sleep(wish.arrives_s + after_s)
        with suppress(Gone, TurnError):
            process = await self._some_process()
            await process.call(lambda: self._cancel(process, wish.turn_id))

    async def _cancel(self, process: Process, turn_id: str) -> None:
        live = await process.service.find(turn_id)
        if live is not None:
            await process.service.cancel(live)

    # The agent.

    def called(self, process: Process, message: str) -> Call | None:
        if process.is_dead:
            return None
        turn, taken = current_turn(), self.server.taken
        self.asked_as.setdefault(message, set()).add(turn.id)
        call = Call(turn.id, turn.conversation, process, len(taken))
        for other in self._beside(call):
            if other.turn_id not in taken[other.taken_before :]:
                self.fault(f"{turn.id} in {process.name} runs beside {other.turn_id}")
        self.active.append(call)
        seen = self.attempts.setdefault(turn.id, [])
        if seen and turn.attempt <= seen[-1]:
            self.fault(f"{turn.id} ran again as attempt {turn.attempt} after {seen}")
        seen.append(turn.attempt)
        return call

    def _beside(self, call: Call) -> list[Call]:
        return [
            other
            for other in self.active
            if other.conversation == call.conversation and not other.process.is_dead
        ]

    def stopped(self, call: Call | None) -> None:
        if call is not None:
            self.active.remove(call)


@contextmanager
def garbage_collected_on_demand() -> Generator[None]:
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()


@contextmanager
def told_of_errors(fault: Callable[[str], None]) -> Generator[None]:
    """Meanwhile nothing is logged, and an error in the log is a fault: a task that ended by one."""

    def take(logger: object, level: str, event: structlog.typing.EventDict) -> NoReturn:
        if level == "error":
            fault(f"I-33: {event['event']}: {event.get('part')}: {event.get('exc_info')!r}")
        raise structlog.DropEvent

    before = structlog.get_config()
    structlog.configure(processors=[take], wrapper_class=structlog.BoundLogger)
    try:
        yield
    finally:
        structlog.configure(**before)


if __name__ == "__main__":
    from tests.engine import world  # The judge imports it by this name.

    seed, *policy = sys.argv[1:]
    print(*world.World(int(seed), *policy).run() or ["no fault"], sep="\n")  # type: ignore[arg-type]

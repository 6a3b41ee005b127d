"""The explorer: runs a strategy through thousands of seeded schedules and watches every step.

It sees what an outsider sees: the tickets, the figures of `load()`, and when
the agent is called and stops. From these it judges the promises of `Strategy`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from ..base import Attempt, Limits, Reply, Strategy, Ticket, Turn
from ..errors import Draining, State, TurnError
from .clock import Deadlock, VirtualLoop, close
from .plan import Plan, TurnPlan, make_plan
from .residue import residue

GRACE_S = 1.0
"""How long past its deadline a sealed turn may end, and a withdrawn agent may hold its slot."""

FINAL = frozenset(State) - {State.WAITING, State.RUNNING}

Factory = Callable[..., Strategy]


class BrokenPromise(AssertionError):
    """A schedule in which the strategy broke a promise; the text says how to replay it."""


def explore(
    factory: Factory, schedules: int = 5_000, first_seed: int = 0, *, bounds: bool = False
) -> None:
    """Run that many schedules; raise BrokenPromise at the first that breaks a promise.

    bounds  also hold the strategy to `Limits`: to its three counts, and to a
            fair turn for each conversation. The interface leaves those open.
    """
    for seed in range(first_seed, first_seed + schedules):
        faults = replay(factory, seed, bounds=bounds)
        if faults:
            name = f"{getattr(factory, '__module__', '')}:{getattr(factory, '__qualname__', '')}"
            command = f"python -m strategies.testing {name} --seed {seed}"
            raise BrokenPromise(
                "\n  ".join([f"seed {seed}:", *faults])
                + f"\nreplay it with: {command}{' --bounds' if bounds else ''}"
            )


def replay(factory: Factory, seed: int, *, bounds: bool = False) -> list[str]:
    """Run the one schedule of this seed; the faults that were seen, none if it went well."""
    loop = VirtualLoop(seed)
    schedule = _Schedule(factory, make_plan(seed), bounds)
    loop.on_advance = schedule.check_instant
    try:
        loop.run_until_complete(schedule.run())
        schedule.check_rest(loop)
    except Deadlock:
        schedule.fault("3: a waiter hangs for ever")
    except BaseException as error:  # An agent's SystemExit must not end the loop, nor this.
        schedule.fault(f"the loop was ended by {error!r}")
    loop.on_advance = lambda: None
    close(loop)
    return schedule.faults


class _Schedule:
    """One run of one plan: the clients, the agent, and the watch on both."""

    def __init__(self, factory: Factory, plan: Plan, bounds: bool) -> None:
        self.plan = plan
        self.bounds = bounds
        self.faults: list[str] = []
        self.plans = {turn.id: turn for turn in plan.turns}
        self.tickets: dict[str, Ticket] = {}
        self.accepted_at: dict[str, float] = {}
        self.withdrawn_at: dict[str, float] = {}
        self.called: dict[str, float] = {}
        self.active: dict[str, str] = {}
        self.kept: dict[str, list[str]] = {}
        self.refusals = 0
        self.events = 0
        self.ready_since: dict[str, int] = {}
        self.last_start: dict[str, int] = {}
        self.strategy = factory(self.answer, plan.limits)

    def fault(self, text: str) -> None:
        if text not in self.faults:
            self.faults.append(text)

    def now(self) -> float:
        return asyncio.get_running_loop().time()

    # The agent.

    async def answer(self, turn: Turn, attempt: Attempt) -> Reply:
        plan = self.plans[turn.id]
        self._check_call(turn)
        self.called[turn.id] = self.now()
        self.active[turn.id] = turn.conversation
        try:
            await self._act(plan)
            if plan.deed != "reply unsealed":
                attempt.seal()
                await self._keep(plan)
            elif self.tickets[turn.id].state is State.RUNNING:
                self.kept.setdefault(turn.conversation, []).append(turn.id)
            return Reply(turn.id, len(self.kept.get(turn.conversation, ())))
        finally:
            del self.active[turn.id]
            self._note_ready(turn.conversation)

    async def _act(self, plan: TurnPlan) -> None:
        match plan.deed:
            case "hang":
                await asyncio.Event().wait()
            case "ignore cancellation":
                await self._ignore_cancellation(plan.stays_s)
            case "cancel itself":
                task = asyncio.current_task()
                assert task is not None
                task.cancel()
                await asyncio.sleep(0)
            case _:
                await asyncio.sleep(plan.takes_s)
        if plan.deed.startswith("raise"):
            raise {
                "raise": ZeroDivisionError,
                "raise CancelledError": asyncio.CancelledError,
                "raise SystemExit": SystemExit,
                "raise KeyboardInterrupt": KeyboardInterrupt,
                "raise GeneratorExit": GeneratorExit,
            }[plan.deed]

    async def _ignore_cancellation(self, stays_s: float) -> None:
        ends_at = self.now() + stays_s
        while self.now() < ends_at:
            try:
                await asyncio.sleep(ends_at - self.now())
            except asyncio.CancelledError:
                continue

    async def _keep(self, plan: TurnPlan) -> None:
        """Keep the reply, as a store does: it takes a while, and then it is there for ever."""
        if plan.keeping_s:
            try:
                await asyncio.sleep(plan.keeping_s)
            except asyncio.CancelledError:
                self.fault(f"seal: {plan.id} was told to stop after it was sealed")
                raise
        self.kept.setdefault(plan.conversation, []).append(plan.id)

    def _check_call(self, turn: Turn) -> None:
        ticket = self.tickets.get(turn.id)
        if turn.id in self.called:
            self.fault(f"the agent was called twice for {turn.id}")
        if ticket is None or ticket.state is not State.RUNNING:
            self.fault(f"2: the agent was called for {turn.id}, which is not running")
        if turn.conversation in self.active.values():
            self.fault(f"1: two turns of {turn.conversation} ran at once")
        for other, waiting in self.tickets.items():
            if other == turn.id:
                break
            if waiting.state is State.WAITING and waiting.turn.conversation == turn.conversation:
                self.fault(f"5: {turn.id} started before {other}, which had waited longer")
        self._check_round(turn.conversation)

    def _check_round(self, conversation: str) -> None:
        previous = self.last_start.get(conversation)
        self.events += 1
        self.last_start[conversation] = self.events
        self.ready_since.pop(conversation, None)
        if not self.bounds or previous is None:
            return
        for other, since in self.ready_since.items():
            if since < previous and self._waiting_in(other) and not self._held(other):
                self.fault(f"fairness: {conversation} ran twice while {other} could have")

    def _note_ready(self, conversation: str) -> None:
        self.events += 1
        if self._waiting_in(conversation) and not self._held(conversation):
            self.ready_since.setdefault(conversation, self.events)
        else:
            self.ready_since.pop(conversation, None)

    def _waiting_in(self, conversation: str) -> list[str]:
        return [
            turn_id
            for turn_id, ticket in self.tickets.items()
            if ticket.state is State.WAITING and ticket.turn.conversation == conversation
        ]

    def _held(self, conversation: str) -> bool:
        return conversation in self.active.values() or any(
            ticket.state is State.RUNNING and ticket.turn.conversation == conversation
            for ticket in self.tickets.values()
        )

    # The clients.

    async def run(self) -> None:
        clients = [asyncio.create_task(self._client(turn)) for turn in self.plan.turns]
        if self.plan.drains_at_s is not None:
            await asyncio.sleep(self.plan.drains_at_s)
            await self._drain(self.plan.drain_timeout_s)
        await asyncio.gather(*clients)
        while self.active:
            await asyncio.sleep(GRACE_S)
        await self.strategy.drain(0)
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    async def _client(self, plan: TurnPlan) -> None:
        await asyncio.sleep(plan.arrives_s)
        for _ in range(plan.yields):
            await asyncio.sleep(0)
        turn = Turn(plan.id, plan.conversation, "hello", plan.deadline_s)
        before = self.strategy.load().accepted
        try:
            ticket = self.strategy.submit(turn)
        except TurnError as error:
            self.refusals += 1
            if error.outcome != "not_started" or self.strategy.load().accepted != before:
                self.fault(f"2: the refusal of {plan.id} is not one of a turn that did not start")
            return
        self.tickets[plan.id] = ticket
        self.accepted_at[plan.id] = self.now()
        if self._waiting_in(plan.conversation) == [plan.id]:
            self.ready_since.pop(plan.conversation, None)
        self._note_ready(plan.conversation)
        waiters = [asyncio.create_task(self._await_reply(plan, ticket))]
        if plan.leaves_after_s is not None:
            waiters.append(asyncio.create_task(self._leave(plan.leaves_after_s, ticket)))
        if plan.cancels_after_s is not None:
            await asyncio.sleep(plan.cancels_after_s)
            self._cancel(plan, ticket)
        await asyncio.wait(waiters)
        for waiter in waiters:
            if waiter.exception() is not None:
                self.fault(f"3: waiting for {plan.id} raised {waiter.exception()!r}")

    async def _leave(self, after_s: float, ticket: Ticket) -> None:
        """A second waiter, which stops waiting: of no consequence for the turn."""
        waiter = asyncio.create_task(ticket.reply())
        await asyncio.sleep(after_s)
        waiter.cancel()
        await asyncio.wait([waiter])
        if not waiter.cancelled():
            waiter.exception()

    def _cancel(self, plan: TurnPlan, ticket: Ticket) -> None:
        state, figures = ticket.state, self.strategy.load()
        withdrawn = ticket.cancel()
        if state is State.WAITING and not withdrawn:
            self.fault(f"cancel: {plan.id} waited and could not be cancelled")
        if state in FINAL and withdrawn:
            self.fault(f"cancel: {plan.id} had ended and was cancelled")
        if withdrawn and ticket.state is not State.CANCELLED:
            self.fault(f"cancel: {plan.id} is {ticket.state} after it was cancelled")
        gone = self.strategy.load().waiting < figures.waiting
        if withdrawn and state is State.WAITING and not gone:
            self.fault(f"cancel: {plan.id} kept its place")
        if withdrawn:
            self.withdrawn_at[plan.id] = self.now()
        if state is State.RUNNING and plan.id not in self.called:
            # Its conversation had its turn in the round, though no agent saw it.
            self.ready_since.pop(plan.conversation, None)

    async def _await_reply(self, plan: TurnPlan, ticket: Ticket) -> None:
        try:
            reply = await ticket.reply()
        except TurnError as error:
            self._check_error(plan, ticket, error)
        else:
            kept = self.kept.get(plan.conversation, [])
            if reply.text != plan.id or kept[reply.number - 1 : reply.number] != [plan.id]:
                self.fault(f"2: the reply to {plan.id} is not the one in the history")
            if ticket.state is not State.ANSWERED:
                self.fault(f"3: {plan.id} was answered and is {ticket.state}")
        self._check_time(plan, ticket)

    def _check_error(self, plan: TurnPlan, ticket: Ticket, error: TurnError) -> None:
        if error.state is not ticket.state:
            self.fault(f"3: {plan.id} is {ticket.state} and raised {error!r}")
        if error.outcome == "not_started" and plan.id in self.called:
            self.fault(f"outcome: {plan.id} started, and its error says that it did not")
        if error.outcome == "rolled_back" and plan.id not in self.called:
            self.fault(f"outcome: {plan.id} never started, and its error says that it did")
        self.withdrawn_at.setdefault(plan.id, self.now())

    def _check_time(self, plan: TurnPlan, ticket: Ticket) -> None:
        slack_s = GRACE_S if plan.keeping_s else 0.0
        limits = self.plan.limits
        took_s = self.now() - self.accepted_at[plan.id]
        if plan.deadline_s is not None and took_s > plan.deadline_s + slack_s + 1e-6:
            self.fault(f"3: {plan.id} ended {took_s} s after submission, past its deadline")
        if (
            limits.turn_timeout_s is not None
            and ticket.ran_s > limits.turn_timeout_s + slack_s + 1e-6
        ):
            self.fault(f"3: {plan.id} ran for {ticket.ran_s} s, longer than it may")
        late = plan.deadline_s is not None and took_s > plan.deadline_s + 1e-6
        sealed_late = ticket.state is State.ANSWERED and late and not plan.keeping_s
        if sealed_late:
            self.fault(f"3: {plan.id} was answered after its deadline")

    # Shutdown.

    async def _drain(self, timeout_s: float) -> None:
        began = self.now()
        drain = asyncio.create_task(self.strategy.drain(timeout_s))
        await asyncio.sleep(0)
        if self.strategy.load().waiting:
            self.fault("drain: turns wait though the strategy drains")
        try:
            self.strategy.submit(Turn("late", "late", "hello"))
            self.fault("drain: a turn was accepted though the strategy drains")
        except Draining:
            self.refusals += 1
        await drain
        if self.now() - began > timeout_s + GRACE_S + 1e-6:
            self.fault(f"drain: it took {self.now() - began} s with {timeout_s} s to do it in")
        if self.strategy.load().running:
            self.fault("drain: turns run though it has returned")

    # The watch.

    def check_instant(self) -> None:
        """Called whenever all that could run has run, and time is about to pass."""
        load = self.strategy.load()
        states = [ticket.state for ticket in self.tickets.values()]
        told = (load.waiting, load.running, load.accepted, load.refused)
        seen = (
            states.count(State.WAITING),
            states.count(State.RUNNING),
            len(states),
            self.refusals,
        )
        if told != seen:
            self.fault(f"6: load() says {told} waiting, running, accepted, refused; seen: {seen}")
        ended = {state: states.count(state) for state in FINAL if state in states}
        if dict(load.ended) != ended:
            self.fault(f"6: load() says that turns ended {dict(load.ended)}; seen: {ended}")
        self._check_running()
        self._check_idle(self.plan.limits)
        for conversation in {turn.conversation for turn in self.plan.turns}:
            if self._waiting_in(conversation) and not self._held(conversation):
                self.ready_since.setdefault(conversation, self.events)
        if self.bounds:
            self._check_bounds(self.plan.limits)

    def _check_running(self) -> None:
        for turn_id, ticket in self.tickets.items():
            if ticket.state is State.RUNNING and turn_id not in self.active:
                self.fault(f"5: {turn_id} is running and its agent is not at work")
        fenced = sum(self.tickets[turn_id].state in FINAL for turn_id in self.active)
        if self.strategy.load().fenced != fenced:
            self.fault(f"6: load() says {self.strategy.load().fenced} fenced; seen: {fenced}")

    def _at_work(self) -> int:
        """Agents at work, less those that were told to stop a grace ago and have not."""
        now = self.now()
        return sum(
            self.tickets[turn_id].state not in FINAL
            or now - self.withdrawn_at.get(turn_id, now) < GRACE_S - 1e-6
            for turn_id in self.active
        )

    def _check_idle(self, limits: Limits) -> None:
        if self._at_work() >= limits.max_running:
            return
        for turn_id, ticket in self.tickets.items():
            if ticket.state is State.WAITING and not self._held(ticket.turn.conversation):
                self.fault(f"5: {turn_id} waits though its conversation and a slot are free")

    def _check_bounds(self, limits: Limits) -> None:
        waiting = [t.turn.conversation for t in self.tickets.values() if t.state is State.WAITING]
        most = max((waiting.count(conversation) for conversation in waiting), default=0)
        if self._at_work() > limits.max_running:
            self.fault(f"bounds: {self._at_work()} agents at work, {limits.max_running} allowed")
        if len(waiting) > limits.max_waiting or most > limits.max_waiting_per_conversation:
            self.fault(f"bounds: {len(waiting)} wait, {most} in one conversation")
        for turn_id, ticket in self.tickets.items():
            limit_s = limits.max_wait_s
            if limit_s is not None and ticket.waited_s > limit_s + 1e-6:
                self.fault(f"bounds: {turn_id} waited {ticket.waited_s} s, {limit_s} s allowed")

    def check_rest(self, loop: VirtualLoop) -> None:
        """When all is over, nothing is left but the history."""
        for turn_id, ticket in self.tickets.items():
            kept = sum(turns.count(turn_id) for turns in self.kept.values())
            error = _error_of(ticket)
            unknown = error is not None and error.outcome == "unknown"
            if kept > 1 or (not unknown and kept != (ticket.state is State.ANSWERED)):
                self.fault(
                    f"outcome: {turn_id} is {ticket.state} and stands {kept} times in history"
                )
        left = [task for task in asyncio.all_tasks(loop) if not task.done()]
        if left or loop.pending_timers():
            self.fault(f"7: left over: {len(left)} tasks and {loop.pending_timers()} timers")
        conversations = {turn.conversation for turn in self.plan.turns}
        for thing in residue(self.strategy, conversations):
            self.fault(f"7: left over in the strategy: {thing}")
        for report in loop.reports:
            self.fault(f"asyncio reports {report}")


def _error_of(ticket: Ticket) -> TurnError | None:
    """The error with which a settled ticket ended: its `reply()` needs no loop any more."""
    steps: Any = ticket.reply().__await__()
    try:
        next(steps)
    except StopIteration:
        return None
    except TurnError as error:
        return error
    raise AssertionError(f"{ticket!r} is not settled")

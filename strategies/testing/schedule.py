"""One run of one plan: the agent and the clients, under the eyes of a `Watch`."""

from __future__ import annotations

import asyncio

from ..base import Attempt, Reply, Ticket, Turn
from ..errors import Draining, State, TurnError
from .plan import Plan, TurnPlan
from .rig import Factory, perform
from .watch import FINAL, GRACE_S, Watch

LAST_AGENT_S = 90
"""When all clients have gone all agents have been told to stop; no plan lets one stay as long."""


class Schedule:
    """Plays the plan; `watch.faults` has what was seen."""

    def __init__(self, factory: Factory, plan: Plan, bounds: bool) -> None:
        self.plan = plan
        self.plans = {turn.id: turn for turn in plan.turns}
        self.watch = Watch(plan, bounds)
        self.strategy = factory(self.answer, plan.limits)
        self.watch.strategy = self.strategy

    # The agent.

    async def answer(self, turn: Turn, attempt: Attempt) -> Reply:
        parts = tuple(part.id for part in turn.merged or (turn,))
        plan = self.plans[parts[0]]
        self.watch.check_call(turn, parts)
        try:
            interrupted = await self._speak(plan, attempt)
            if plan.deed != "reply unsealed":
                attempt.seal()
                await self._keep(plan, parts)
                if plan.deed == "fail to keep":
                    raise ConnectionError("nobody knows when")
                if plan.deed == "return nothing":
                    return None  # type: ignore[return-value]  # A mistake that is easily made.
            elif any(self.watch.tickets[part].state is State.RUNNING for part in parts):
                self.watch.keep(turn.conversation, parts)
            number = len(self.watch.kept.get(turn.conversation, ()))
            return Reply("+".join(parts), number, interrupted)
        finally:
            self.watch.active.pop(turn.conversation, None)
            self.watch.note_ready(turn.conversation)

    async def _speak(self, plan: TurnPlan, attempt: Attempt) -> bool:
        """Do the deed; True where it was interrupted, and what was said is to be kept."""
        try:
            await self._act(plan)
        except asyncio.CancelledError:
            if not (attempt.interrupted and plan.keeps_said and plan.deed == "reply"):
                raise
            return True
        return False

    async def _act(self, plan: TurnPlan) -> None:
        match plan.deed:
            case "hang":
                await perform("hang")
            case "cancel itself":
                await perform("cancel")
            case "ignore cancellation":
                await perform("stubborn", str(plan.stays_s))
            case deed:
                await perform("work", str(plan.takes_s))
                if deed.startswith("raise "):
                    await perform(*deed.split())

    async def _keep(self, plan: TurnPlan, parts: tuple[str, ...]) -> None:
        """Keep the reply, as a store does: it takes a while, and then it is there for ever."""
        if plan.keeping_s:
            try:
                await asyncio.sleep(plan.keeping_s)
            except asyncio.CancelledError:
                self.watch.fault(f"seal: {plan.id} was told to stop after it was sealed")
                raise
        self.watch.keep(plan.conversation, parts)

    # The clients.

    async def run(self) -> None:
        clients = [asyncio.create_task(self._client(turn)) for turn in self.plan.turns]
        if self.plan.drains_at_s is not None:
            await asyncio.sleep(self.plan.drains_at_s)
            await self._drain(self.plan.drain_timeout_s)
        await asyncio.gather(*clients)
        for _ in range(LAST_AGENT_S):
            if self.watch.active:
                await asyncio.sleep(1)
        if self.watch.active:
            self.watch.fault(
                f"cancel: never told to stop: the agents of {[*self.watch.active.values()]}"
            )
        await self.strategy.drain(0)
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    async def _client(self, plan: TurnPlan) -> None:
        await asyncio.sleep(plan.arrives_s)
        for _ in range(plan.yields):
            await asyncio.sleep(0)
        told = plan.deadline_s, plan.priority, plan.strategy
        turn = Turn(plan.id, plan.conversation, plan.id, *told, caller=plan.caller)
        before = self.strategy.load().accepted
        there = self.watch.states_in(plan.conversation)
        try:
            ticket = self.strategy.submit(turn)
        except TurnError as error:
            self.watch.refused(plan, error)
            if error.outcome != "not_started" or self.strategy.load().accepted != before:
                self.watch.fault(
                    f"2: the refusal of {plan.id} is not one of a turn that did not start"
                )
            return
        self.watch.accepted(plan, ticket, there)
        ticket.add_done_callback(self.watch.told)
        waiters = [asyncio.create_task(self._await_reply(plan, ticket))]
        if plan.leaves_after_s is not None:
            waiters.append(asyncio.create_task(self._leave(plan.leaves_after_s, ticket)))
        if plan.cancels_after_s is not None:
            await asyncio.sleep(plan.cancels_after_s)
            self._cancel(plan, ticket)
        await asyncio.wait(waiters)
        for waiter in waiters:
            if waiter.exception() is not None:
                self.watch.fault(f"3: waiting for {plan.id} raised {waiter.exception()!r}")

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
            self.watch.fault(f"cancel: {plan.id} waited and could not be cancelled")
        if state in FINAL and withdrawn:
            self.watch.fault(f"cancel: {plan.id} had ended and was cancelled")
        if withdrawn and ticket.state is not State.CANCELLED:
            self.watch.fault(f"cancel: {plan.id} is {ticket.state} after it was cancelled")
        gone = self.strategy.load().waiting < figures.waiting
        if withdrawn and state is State.WAITING and not gone:
            self.watch.fault(f"cancel: {plan.id} kept its place")
        if withdrawn:
            self.watch.withdrawn_at[plan.id] = self.watch.now()
        if state is State.RUNNING and plan.id not in self.watch.called:
            self.watch.had_its_turn(plan.conversation)

    async def _await_reply(self, plan: TurnPlan, ticket: Ticket) -> None:
        try:
            reply = await ticket.reply()
        except TurnError as error:
            self.watch.check_error(plan, ticket, error)
        else:
            self.watch.check_reply(plan, ticket, reply)
        self.watch.check_time(plan, ticket)

    # Shutdown.

    async def _drain(self, timeout_s: float) -> None:
        began = self.watch.now()
        drain = asyncio.create_task(self.strategy.drain(timeout_s))
        await asyncio.sleep(0)
        if self.strategy.load().waiting:
            self.watch.fault("drain: turns wait though the strategy drains")
        try:
            self.strategy.submit(Turn("late", "late", "hello"))
            self.watch.fault("drain: a turn was accepted though the strategy drains")
        except Draining:
            self.watch.refusals += 1
        await drain
        if self.watch.now() - began > timeout_s + GRACE_S + 1e-6:
            self.watch.fault(
                f"drain: it took {self.watch.now() - began} s with {timeout_s} s to do it in"
            )
        if self.strategy.load().running:
            self.watch.fault("drain: turns run though it has returned")
        if self.watch.now() > max(began, self.watch.last_end()) + GRACE_S + 1e-6:
            self.watch.fault("drain: it went on though no turn ran any more")

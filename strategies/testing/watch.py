"""The watch: what an outsider sees of one schedule, held against the promises of `Strategy`."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Iterable
from itertools import pairwise

from ..base import Limits, Reply, Strategy, Ticket, Turn
from ..errors import (
    AgentFailed,
    CallerQueueFull,
    ConversationQueueFull,
    ServerFull,
    State,
    TurnError,
)
from .clock import VirtualLoop
from .plan import Plan, TurnPlan
from .residue import residue
from .share_watch import ShareWatch

GRACE_S = 1.0
"""How long past its deadline a sealed turn may end, and a withdrawn agent may hold its slot."""

JUST_BEFORE_S, JUST_AFTER_S = GRACE_S - 1e-6, GRACE_S + 1e-6
"""An agent's slot may have been given to others, and must have been: timers are rounded."""

FINAL = frozenset(State) - {State.WAITING, State.RUNNING}

BOUNDS: dict[type[TurnError], tuple[str, str]] = {
    ConversationQueueFull: ("max_waiting_per_conversation", "conversation"),
    CallerQueueFull: ("max_waiting_per_caller", "caller"),
    ServerFull: ("max_waiting", ""),
}
"""For each refusal the limit that is reached, and what the turns have in common that it is for."""


class Watch:
    """Notes the tickets and the agent's calls, and writes down what breaks a promise.

    Several turns may be merged into one call; `active` and `kept` have their ids together,
    and what the first of them plans happens to all. A fault begins with the number of the
    promise, or with the word that it is about.
    """

    strategy: Strategy

    def __init__(self, plan: Plan, bounds: bool) -> None:
        self.plan = plan
        self.bounds = bounds
        self.faults: list[str] = []
        self.tickets: dict[str, Ticket] = {}
        self.accepted_at: dict[str, float] = {}
        self.withdrawn_at: dict[str, float] = {}
        self.called: dict[str, float] = {}
        self.leads: dict[str, TurnPlan] = {}
        self.active: dict[str, tuple[str, ...]] = {}
        self.kept: dict[str, list[tuple[str, ...]]] = {}
        self.refusals = 0
        self.events = 0
        self.ready_since: dict[str, tuple[int, float]] = {}
        """For each conversation that could run: since which event, and since which instant."""
        self.last_start: dict[str, int] = {}
        self.shares = ShareWatch(self)
        self.running_when_came: dict[str, set[str]] = {}
        self.callbacks: Counter[str] = Counter()

    def fault(self, text: str) -> None:
        if text not in self.faults:
            self.faults.append(text)

    def now(self) -> float:
        return asyncio.get_running_loop().time()

    def states_in(self, conversation: str) -> dict[str, State]:
        return {
            turn_id: ticket.state
            for turn_id, ticket in self.tickets.items()
            if ticket.turn.conversation == conversation
        }

    def accepted(self, plan: TurnPlan, ticket: Ticket, before: dict[str, State]) -> None:
        """`before`: how the turns of its conversation were when it came; some may leave for it."""
        for other, state in before.items():
            stopped = self.tickets[other].state is State.INTERRUPTED and other not in self.called
            if state is State.RUNNING and stopped:
                self.had_its_turn(plan.conversation)
        self.running_when_came[plan.id] = {
            other for other, before in self.tickets.items() if before.state is State.RUNNING
        }
        self.tickets[plan.id] = ticket
        self.accepted_at[plan.id] = self.now()
        if State.WAITING not in before.values():
            self.ready_since.pop(plan.conversation, None)
        self.note_ready(plan.conversation)

    def refused(self, plan: TurnPlan, error: TurnError) -> None:
        self.refusals += 1
        bound = BOUNDS.get(type(error))
        if not self.bounds or bound is None:
            return
        limit, of = bound
        most = getattr(self.plan.limits, limit)
        waiting = [t.turn for t in self.tickets.values() if t.state is State.WAITING]
        count = sum(getattr(turn, of, "") == getattr(plan, of, "") for turn in waiting)
        if count < most:
            self.fault(f"bounds: {plan.id} was refused though {count} of {most} wait")

    # When the agent is called.

    def check_call(self, turn: Turn, parts: tuple[str, ...]) -> None:
        conversation = turn.conversation
        if conversation in self.active:
            self.fault(f"1: two turns of {conversation} ran at once")
        self._check_order(turn, parts)
        for part in parts:
            self._check_part(conversation, part)
            self.called[part] = self.now()
            self.leads[part] = next(turn for turn in self.plan.turns if turn.id == parts[0])
        if all(self._is_final(part) for part in parts):
            self.fault(f"2: the agent was called for {parts}, of which none is running")
        self.active[conversation] = parts
        ready = self.ready_since.pop(conversation, None)
        if self.bounds and self._priorities_count() and ready is not None:
            self._check_urgency(turn, parts, ready[1])
        self._check_round(turn)
        self.shares.check_start(turn.caller)

    def _check_order(self, turn: Turn, parts: tuple[str, ...]) -> None:
        asked = tuple(re.findall(r"t\d+", turn.message))
        disordered = any(self._should_precede(b, a) for a, b in pairwise(parts))
        if asked != parts or disordered:
            self.fault(f"merge: {turn.message!r} stands for {parts}")

    def _check_part(self, conversation: str, part: str) -> None:
        ticket = self.tickets.get(part)
        if part in self.called:
            self.fault(f"the agent was called twice for {part}")
        if ticket is None or ticket.turn.conversation != conversation:
            self.fault(f"2: the agent was called for {part}, which is not of {conversation}")
        if self._is_final(part):
            return  # It left between the start and the agent's first step.
        for other in self.waiting_in(conversation):
            if self._should_precede(other, part):
                self.fault(f"5: {part} started before {other}, which had waited longer")

    def keep(self, conversation: str, parts: tuple[str, ...]) -> None:
        self.kept.setdefault(conversation, []).append(parts)

    @property
    def ageing_s(self) -> float:
        """0.0 where the strategy takes turns of all priorities alike."""
        return getattr(self.strategy, "ageing_s", 0.0)

    def _rank(self, turn_id: str, since: float) -> float:
        return since + self.tickets[turn_id].turn.priority * self.ageing_s

    def _should_precede(self, other: str, started: str) -> bool:
        if started in self.running_when_came.get(other, ()):
            return False  # It came between the start and the agent's first step.
        priorities = {self.tickets[turn_id].turn.priority for turn_id in (other, started)}
        if self.ageing_s and len(priorities) > 1:
            ranks = (self._rank(turn_id, self.accepted_at[turn_id]) for turn_id in (other, started))
            return next(ranks) < next(ranks) - 1e-6
        ids = list(self.tickets)
        return ids.index(other) < ids.index(started)

    def _check_round(self, turn: Turn) -> None:
        """No conversation runs twice while another one of its caller could have run."""
        previous = self.last_start.get(turn.conversation)
        self.events += 1
        self.last_start[turn.conversation] = self.events
        if not self.bounds or previous is None or self._priorities_count():
            return
        for other in self._ready_of(turn.caller):
            if self.ready_since[other][0] < previous and not self.held(other):
                self.fault(f"fairness: {turn.conversation} ran twice while {other} could have")

    def _ready_of(self, caller: str) -> list[str]:
        """Its conversations that could have run for a while."""
        of_caller = {turn.conversation for turn in self.plan.turns if turn.caller == caller}
        return [one for one in self.ready_since if one in of_caller and self.waiting_in(one)]

    def had_its_turn(self, conversation: str) -> None:
        """In the round, though it was withdrawn before any agent saw it."""
        self.ready_since.pop(conversation, None)
        self.shares.had_its_turn(
            next(turn.caller for turn in self.plan.turns if turn.conversation == conversation)
        )

    def _priorities_count(self) -> bool:
        return bool(self.ageing_s) and len({turn.priority for turn in self.plan.turns}) > 1

    def _check_urgency(self, started: Turn, parts: tuple[str, ...], ready_at: float) -> None:
        """No conversation of its caller that could have run for a while has a turn of better rank.

        At the very instant of the start it may have become ready after it.
        """
        line = [*parts, *self.waiting_in(started.conversation)]
        best = min(self._rank(turn_id, ready_at) for turn_id in line)
        for other in self._ready_of(started.caller):
            for turn_id in self.waiting_in(other):
                since = max(self.ready_since[other][1], self.accepted_at[turn_id])
                is_better = self._rank(turn_id, since) < best - 1e-6
                if is_better and since < self.now() - 1e-6 and not self.held(other):
                    self.fault(f"urgency: {started.id} started before {turn_id} of {other}")

    def note_ready(self, conversation: str) -> None:
        self.events += 1
        if self.waiting_in(conversation) and not self.held(conversation):
            self.ready_since.setdefault(conversation, (self.events, self.now()))
        else:
            self.ready_since.pop(conversation, None)

    def waiting_in(self, conversation: str) -> list[str]:
        return [
            turn_id
            for turn_id, ticket in self.tickets.items()
            if ticket.state is State.WAITING and ticket.turn.conversation == conversation
        ]

    def held(self, conversation: str) -> bool:
        return conversation in self.active or any(
            ticket.state is State.RUNNING and ticket.turn.conversation == conversation
            for ticket in self.tickets.values()
        )

    # When a turn has ended.

    def last_end(self) -> float:
        """The instant at which the last of the turns ended, so far."""
        ends = (
            self.accepted_at[turn_id] + ticket.waited_s + ticket.ran_s
            for turn_id, ticket in self.tickets.items()
        )
        return max(ends, default=0.0)

    def check_error(self, plan: TurnPlan, ticket: Ticket, error: TurnError) -> None:
        if error.state is not ticket.state:
            self.fault(f"3: {plan.id} is {ticket.state} and raised {error!r}")
        if error.outcome == "not_started" and plan.id in self.called:
            self.fault(f"outcome: {plan.id} started, and its error says that it did not")
        if error.outcome == "rolled_back" and plan.id not in self.called:
            self.fault(f"outcome: {plan.id} never started, and its error says that it did")
        deed = self.leads.get(plan.id, plan).deed
        if isinstance(error, AgentFailed) and deed in ("reply", "reply unsealed", "hang"):
            self.fault(f"2: {plan.id} failed, and its agent did not")
        self.withdrawn_at.setdefault(plan.id, self.now())

    def check_reply(self, plan: TurnPlan, ticket: Ticket, reply: Reply) -> None:
        kept = self.kept.get(plan.conversation, [])[reply.number - 1 : reply.number]
        if not kept or plan.id not in kept[0] or reply.text != "+".join(kept[0]):
            self.fault(f"2: the reply to {plan.id} is not the one in the history")
        if ticket.state is not (State.INTERRUPTED if reply.interrupted else State.ANSWERED):
            self.fault(f"3: {plan.id} got a reply and is {ticket.state}")

    def check_time(self, plan: TurnPlan, ticket: Ticket) -> None:
        keeping_s = self.leads.get(plan.id, plan).keeping_s
        slack_s = GRACE_S if keeping_s else 0.0
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
        sealed_late = ticket.state is State.ANSWERED and late and not keeping_s
        if sealed_late:
            self.fault(f"3: {plan.id} was answered after its deadline")

    def told(self, ticket: Ticket) -> None:
        """Called back by the ticket of a turn that has ended."""
        self.callbacks[ticket.turn.id] += 1
        if ticket.state not in FINAL:
            self.fault(f"3: {ticket.turn.id} is {ticket.state}, and its end was called back")

    # Whenever time passes, and at the end.

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
        self.shares.note()
        for conversation in {turn.conversation for turn in self.plan.turns}:
            if self.waiting_in(conversation) and not self.held(conversation):
                self.ready_since.setdefault(conversation, (self.events, self.now()))
        if self.bounds:
            self._check_bounds(self.plan.limits)

    def _check_running(self) -> None:
        at_work = {part for parts in self.active.values() for part in parts}
        for turn_id, ticket in self.tickets.items():
            if ticket.state is State.RUNNING and turn_id not in at_work:
                self.fault(f"5: {turn_id} is running and its agent is not at work")
        fenced = sum(map(self._is_over, self.active.values()))
        if self.strategy.load().fenced != fenced:
            self.fault(f"6: load() says {self.strategy.load().fenced} fenced; seen: {fenced}")

    def _at_work(self, after_s: float = JUST_BEFORE_S) -> int:
        """Agents at work, less those that were told to stop a grace ago and have not."""
        return len(self.active) - len(self.given_up(after_s))

    def given_up(self, after_s: float = JUST_BEFORE_S) -> set[str]:
        """Conversations whose agents were told to stop `after_s` ago and have not."""
        now = self.now()
        told_at = {
            conversation: max(self.withdrawn_at.get(part, now) for part in parts)
            for conversation, parts in self.active.items()
            if self._is_over(parts)
        }
        return {one for one, told in told_at.items() if now - told >= after_s}

    def _is_over(self, parts: tuple[str, ...]) -> bool:
        return all(self._is_final(part) for part in parts)

    def _is_final(self, part: str) -> bool:
        return part in self.tickets and self.tickets[part].state in FINAL

    def _check_idle(self, limits: Limits) -> None:
        if self._at_work(JUST_AFTER_S) >= limits.max_running:
            return
        for turn_id, ticket in self.tickets.items():
            if ticket.state is State.WAITING and not self.held(ticket.turn.conversation):
                self.fault(f"5: {turn_id} waits though its conversation and a slot are free")

    def _check_bounds(self, limits: Limits) -> None:
        waiting = [t.turn for t in self.tickets.values() if t.state is State.WAITING]
        most = _most_common(turn.conversation for turn in waiting)
        of_one = _most_common(turn.caller for turn in waiting)
        if self._at_work() > limits.max_running:
            self.fault(f"bounds: {self._at_work()} agents at work, {limits.max_running} allowed")
        if len(waiting) > limits.max_waiting or most > limits.max_waiting_per_conversation:
            self.fault(f"bounds: {len(waiting)} wait, {most} in one conversation")
        if limits.max_waiting_per_caller is not None and of_one > limits.max_waiting_per_caller:
            self.fault(f"bounds: {of_one} turns of one caller wait")
        for turn_id, ticket in self.tickets.items():
            limit_s = limits.max_wait_s
            if limit_s is None or ticket.turn.deadline_s is not None:
                continue
            if ticket.waited_s > limit_s + 1e-6:
                self.fault(f"bounds: {turn_id} waited {ticket.waited_s} s, {limit_s} s allowed")

    def check_rest(self, loop: VirtualLoop) -> None:
        """When all is over, nothing is left but the history."""
        for turn_id, ticket in self.tickets.items():
            kept = sum(parts.count(turn_id) for turns in self.kept.values() for parts in turns)
            if self.callbacks[turn_id] != 1:
                self.fault(
                    f"3: the end of {turn_id} was called back {self.callbacks[turn_id]} times"
                )
            error = _error_of(ticket)
            unknown = error is not None and error.outcome == "unknown"
            if kept > 1 or (not unknown and kept != (error is None)):
                self.fault(
                    f"outcome: {turn_id} is {ticket.state} and stands {kept} times in history"
                )
        left = [task for task in asyncio.all_tasks(loop) if not task.done()]
        if left or loop.pending_timers():
            self.fault(f"7: left over: {len(left)} tasks and {loop.pending_timers()} timers")
        names = {turn.conversation for turn in self.plan.turns}
        names |= {turn.caller for turn in self.plan.turns} - {""}
        for thing in residue(self.strategy, names):
            self.fault(f"7: left over in the strategy: {thing}")
        for report in loop.reports:
            self.fault(f"asyncio reports {report}")


def _most_common(names: Iterable[str]) -> int:
    """How often the most frequent one occurs."""
    return max(Counter(names).values(), default=0)


def _error_of(ticket: Ticket) -> TurnError | None:
    """The error with which the turn has ended, if it was one."""
    try:
        ticket.result()
    except TurnError as error:
        return error
    return None

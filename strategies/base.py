"""When may a turn run? The words and the one interface; start reading here.

A **turn** is one message and its reply, an **agent** answers it, a **conversation**
is an ordered line of turns over one history. A **strategy** decides when a turn may
run, or that it may not. It is made with the one `answer(turn, attempt)`, takes turns
by `submit(turn)`, and gives a **ticket** for each one it accepts. A turn is data, so a
strategy may as well run its turns in another process.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from .errors import State


@dataclass(frozen=True, slots=True)
class Turn:
    """One message on its way to a reply.

    id          unique among all turns.
    message     what the agent is asked.
    deadline_s  seconds from submission in which the turn must have ended; None where its client
                waits for some time that nobody has said, inf where nobody waits.
    priority    urgency from 0, most urgent, to 7, as in RFC 9218.
    caller      who asks, "" where nobody is named. A conversation has one caller.
    strategy    what to do where its conversation is busy: one of `strategies.queue.CHOICES`,
                or None for what the strategy does by itself.
    merged      the turns that this one was made of, in order; their messages are joined in
                its own. Empty for one that stands for itself.
    more        what else is asked, for `answer` alone; a turn with more is never merged.

    A strategy without priorities, or without such a choice, ignores them.
    """

    id: str
    conversation: str
    message: str
    deadline_s: float | None = None
    priority: int = 3
    strategy: str | None = None
    merged: tuple[Turn, ...] = ()
    caller: str = ""
    more: object = None


@dataclass(frozen=True, slots=True)
class Reply:
    """What a turn came to.

    number       the turn's place in its conversation's history, from 1; 0 where none is kept.
    interrupted  the agent was stopped before its end, and `text` is its words until then.
    more         what else was answered, which a strategy hands on as it is.
    """

    text: str
    number: int = 0
    interrupted: bool = False
    more: object = None


class Attempt(Protocol):
    """The agent's side of a running turn: what `answer` may say to the strategy."""

    @property
    def interrupted(self) -> bool:
        """A newer turn wants this one to end now, with the words that it has.

        The task was cancelled to say so. An `answer` that can do so catches the cancellation,
        seals, keeps what was said and returns it as an `interrupted` `Reply`.
        For any other nothing is kept.
        """
        ...

    def seal(self) -> None:
        """From here on the turn cannot be taken back: its reply is about to be kept.

        `answer` calls this once, after the agent has replied and before the first step that
        others can see; if it keeps nothing, it need not. Raises asyncio.CancelledError where
        a deadline, a cancellation or a shutdown came first; then nothing may be kept.
        """
        ...


class Answer(Protocol):
    """Answers one turn: calls the agent, and keeps message and reply in one step.

    Called at most once for a turn, in a task of its own and in a copy of the context in
    which the turn was submitted. It may raise anything at all: a `TurnError` reaches the
    ticket as it is, everything else as `AgentFailed`. When the turn is withdrawn the task
    is cancelled; if the agent goes on regardless, its reply is discarded.
    """

    async def __call__(self, turn: Turn, attempt: Attempt, /) -> Reply: ...


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds that every strategy is given; each takes those that it has a use for.

    Turns that may run or wait at once, over all conversations, of one caller (or None) or
    in one conversation; the seconds that a turn may run, or None; and the seconds that one
    without a deadline may wait, `inf` for any time, or None where the strategy is to find out.
    """

    max_running: int = 8
    max_waiting: int = 1_000
    max_waiting_per_caller: int | None = None
    max_waiting_per_conversation: int = 100
    max_wait_s: float | None = None
    turn_timeout_s: float | None = 120.0


@dataclass(frozen=True, slots=True)
class Load:
    """A strategy's figures at one instant; `waiting + running + sum(ended) == accepted`.

    fenced         conversations held by an agent that was told to stop and has not.
    accepted       turns that were given a ticket, ever; `refused`: those that were not.
    ended          how the accepted ones ended: a count for each final state.
    oldest_wait_s  seconds that the first of the waiting turns has waited; 0.0 where none waits.
    service_s      expected seconds from start to end, or None before the first measurement.
    """

    waiting: int = 0
    running: int = 0
    fenced: int = 0
    accepted: int = 0
    refused: int = 0
    ended: Mapping[State, int] = field(default_factory=dict[State, int])
    oldest_wait_s: float = 0.0
    service_s: float | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a waiting turn stands. What the strategy does not know is None.

    position  the place in its conversation's line: 1 is next.
    eta_s     expected seconds until the turn starts.
    range_s   seconds between which it starts with a chance of 80 %.
    """

    position: int | None = None
    eta_s: float | None = None
    range_s: tuple[float, float] | None = None


class Ticket(Protocol):
    """The caller's side of an accepted turn. Dropping it does not stop the turn."""

    @property
    def turn(self) -> Turn: ...

    @property
    def state(self) -> State: ...

    def place(self) -> Place | None:
        """Where the turn stands while it waits; None once it waits no longer."""
        ...

    @property
    def waited_s(self) -> float:
        """Seconds from submission to the start, or to the end of a turn that never started."""
        ...

    @property
    def ran_s(self) -> float:
        """Seconds from the start to the end; 0.0 for a turn that never started."""
        ...

    def cancel(self) -> bool:
        """Withdraw the turn, which ends at once: a running one is told to stop, and keeps nothing.

        False where it has ended already, or its reply is being kept: then it will be answered.
        """
        ...

    def result(self) -> Reply:
        """The reply, or raise the turn's `TurnError`; before the end asyncio.InvalidStateError."""
        ...

    def add_done_callback(self, callback: Callable[[Ticket], object], /) -> None:
        """Let the event loop call `callback(ticket)` once, soon after the turn has ended, or now.

        Callbacks run in the order in which they were added, each in the context in which it was.
        """
        ...

    async def reply(self) -> Reply:
        """Wait for the end of the turn: its reply, or its `TurnError`.

        Any number may wait, and each may stop waiting without consequence for the turn.
        """
        ...


class Strategy(Protocol):
    """Decides when a turn may run. Implementations need not inherit.

    It is made by `Class(answer, limits, **options)`, which only stores and checks, and
    called from one event loop. The class may say which of the limits it takes, by a
    class attribute `uses`: a frozenset of their names. What it promises, whatever agents
    and callers do:

    1. At most one turn of a conversation runs at once, and the next one
       starts only when the agent has really stopped.
    2. A refused turn, and one withdrawn or expired while it waited, never
       reaches the agent.
    3. Every accepted turn ends in one final state, at its deadline at the
       latest (plus one second where its reply is being kept just then).
    4. What one turn does (raise, hang, ignore its cancellation) changes no
       turn of another conversation, nor a later one of its own.
    5. When a conversation is free and a slot is too, the turn that has waited
       longest in that conversation starts, or, where the strategy honours
       priorities, the one of the best rank (see `strategies.ageing`). Such a
       strategy says so by an attribute `ageing_s`: a float, in seconds.
    6. The figures of `load()` agree with each other and with what happened.
    7. When nothing waits and nothing runs, nothing is left over: no task, no
       timer, no entry for a conversation.
    8. However many turns one caller submits, another that has no slot waits for
       one no longer than until the next is free, and finds room to wait in
       where each caller's is bounded (`max_waiting_per_caller`).
    """

    def submit(self, turn: Turn) -> Ticket:
        """Accept the turn, at once, or raise the `TurnError` that says why not.

        A refusal leaves no trace but its count.
        """
        ...

    def load(self) -> Load:
        """The figures of this instant, in constant time."""
        ...

    async def drain(self, timeout_s: float) -> None:
        """Refuse what comes and what waits, at once; let what runs end, for `timeout_s` seconds.

        Turns that run longer are withdrawn and end as `DrainTimeout`. Returns when no turn runs;
        agents that ignore their cancellation are left behind. A second call takes effect with
        its own `timeout_s`.
        """
        ...

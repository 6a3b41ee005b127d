"""What became of a turn: decided here, once, as data that can be kept and shown.

`outcome` is the truth about all attempts, in this process and in earlier ones, so it is
not taken from an error but decided from what happened: a turn whose agent was never
called has not started; one whose agent was called and whose reply is not kept is rolled
back; only where the strategy or the store cannot tell is it unknown.
"""

from __future__ import annotations

import strategies
from runner.agents.threads import AgentHangs
from runner.store.base import Ending, StoreUnavailable
from runner.turns.content import NOTHING_BESIDES, Besides
from runner.turns.requests import InputPending, WrongResume
from strategies import Outcome, Reply, State, Ticket, TurnError

OF_THE_RUNNER = (StoreUnavailable, AgentHangs, InputPending, WrongResume)

KINDS: dict[str, type[TurnError]] = {
    kind.__name__: kind
    for kind in (
        *vars(strategies).values(),
        StoreUnavailable,
        AgentHangs,
        InputPending,
        WrongResume,
    )
    if isinstance(kind, type) and issubclass(kind, TurnError)
}

KEPT_FOR_LATER = "The server is shutting down. The turn is kept, and runs when it is back."


def of(came_to: Reply | TurnError, attempts: int, ticket: Ticket | None = None) -> Ending:
    """The ending of a turn with this reply, or with this error after so many calls of its agent."""
    waited_s, ran_s = (ticket.waited_s, ticket.ran_s) if ticket else (0.0, 0.0)
    if isinstance(came_to, Reply):
        state = State.INTERRUPTED if came_to.interrupted else State.ANSWERED
        besides = came_to.more if isinstance(came_to.more, Besides) else NOTHING_BESIDES
        return Ending(
            state,
            came_to.text,
            came_to.number,
            waited_s=waited_s,
            ran_s=ran_s,
            output=besides.output,
            requests=besides.requests,
        )
    outcome: Outcome = "rolled_back" if attempts else "not_started"
    if came_to.outcome == "unknown":
        outcome = "unknown"
    return Ending(
        came_to.state,
        # The nearest kind that is known everywhere: a strategy may have errors of its own.
        cause=next(kind.__name__ for kind in type(came_to).__mro__ if kind.__name__ in KINDS),
        detail=str(came_to),
        outcome=outcome,
        retry_after_s=came_to.retry_after_s,
        waited_s=waited_s,
        ran_s=ran_s,
        requests=came_to.requests if isinstance(came_to, InputPending) else None,
    )


def error_of(ending: Ending) -> TurnError | None:
    """The error with which the turn ended, or None where it has a reply."""
    if ending.cause is None:
        return None
    kind = KINDS.get(ending.cause, TurnError)
    return kind(ending.detail, outcome=ending.outcome, retry_after_s=ending.retry_after_s)


def is_for_later(ending: Ending | None) -> bool:
    """Whether the turn ends for its clients only, as the server shuts down: it runs again."""
    return ending is not None and ending.detail == KEPT_FOR_LATER


def frees_key(ending: Ending) -> bool:
    """Whether the turn leaves its idempotency key as if it had not been used."""
    return ending.reply is None and ending.outcome == "not_started"

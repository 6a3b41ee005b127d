"""What became of a turn, as data that can be kept; and back to the error that it was."""

from __future__ import annotations

import strategies
from runner.store.base import Ending, StoreUnavailable
from strategies import Reply, State, Ticket, TurnError

KINDS: dict[str, type[TurnError]] = {
    kind.__name__: kind
    for kind in (*vars(strategies).values(), StoreUnavailable)
    if isinstance(kind, type) and issubclass(kind, TurnError)
}


def with_reply(ticket: Ticket, reply: Reply) -> Ending:
    state = State.INTERRUPTED if reply.interrupted else State.ANSWERED
    return Ending(state, reply.text, reply.number, waited_s=ticket.waited_s, ran_s=ticket.ran_s)


def with_error(error: TurnError, waited_s: float = 0.0, ran_s: float = 0.0) -> Ending:
    # The nearest kind that is known everywhere: a strategy may have errors of its own.
    cause = next(kind.__name__ for kind in type(error).__mro__ if kind.__name__ in KINDS)
    return Ending(
        error.state,
        cause=cause,
        detail=str(error),
        outcome=error.outcome,
        retry_after_s=error.retry_after_s,
        waited_s=waited_s,
        ran_s=ran_s,
    )


def error_of(ending: Ending) -> TurnError | None:
    """The error with which the turn ended, or None where it has a reply."""
    if ending.cause is None:
        return None
    kind = KINDS.get(ending.cause, TurnError)
    return kind(ending.detail, outcome=ending.outcome, retry_after_s=ending.retry_after_s)

"""Where a waiting turn stands, for tests that look at one thing of it."""

from __future__ import annotations

from strategies import Place, Ticket
from strategies.ticket import LocalTicket


def place_of(ticket: Ticket) -> Place:
    place = ticket.place()
    assert place is not None, f"it does not wait: {ticket!r}"
    return place


def position_of(ticket: Ticket) -> int | None:
    """Asked for alone it is the same."""
    position = place_of(ticket).position
    assert isinstance(ticket, LocalTicket)
    assert ticket.position() == position
    return position


def eta_of(ticket: Ticket) -> float | None:
    return place_of(ticket).eta_s

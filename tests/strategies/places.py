"""Where a waiting turn stands, for tests that look at one thing of it."""

from __future__ import annotations

from strategies import Place, Ticket


def place_of(ticket: Ticket) -> Place:
    place = ticket.place()
    assert place is not None, f"it does not wait: {ticket!r}"
    return place


def position_of(ticket: Ticket) -> int | None:
    return place_of(ticket).position


def eta_of(ticket: Ticket) -> float | None:
    return place_of(ticket).eta_s

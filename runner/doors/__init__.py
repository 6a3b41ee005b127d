"""Other clients' words for the same turns: a file for each door, over the same service.

An installed package adds one of its own by an entry point of the group `runner.doors`, which
names a `Door`.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import entry_points

from runner.api.openapi import Route
from runner.doors.door import Door
from runner.settings import Settings
from strategies.naming import did_you_mean

__all__ = ["Door", "UnknownDoor", "check", "doors", "names", "routes"]

NAMES = ("openai", "ag_ui", "a2a", "langgraph", "mcp")
"""Modules of this folder, with a `DOOR` each."""

ADDED = "runner.doors"


class UnknownDoor(ValueError):
    """No door goes by this name."""


def doors() -> list[Door]:
    """All that there are, ours first."""
    ours = [import_module(f"{__name__}.{name}").DOOR for name in NAMES]
    return [*ours, *(entry.load() for entry in entry_points(group=ADDED))]


def names() -> dict[str, str]:
    """Their names, with a line about each."""
    return {door.name: door.serves for door in doors()}


def check(off: tuple[str, ...]) -> None:
    """Raise UnknownDoor for one that there is not: it would stay open unseen."""
    if not off:
        return
    known = names()
    for name in off:
        if name not in known:
            hint = did_you_mean(name, known) or f"; there are {', '.join(known)}"
            raise UnknownDoor(f"doors.off: there is no door {name!r}{hint}")


def routes(settings: Settings) -> tuple[Route, ...]:
    """Those of the doors that are open."""
    opened = (door for door in doors() if door.name not in settings.doors.off)
    return tuple(route for door in opened for route in door.routes(settings))

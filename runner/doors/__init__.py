"""Other clients' words for the same turns: a folder for each door, over the same service.

An installed package adds one of its own by an entry point, see `docs/doors/own.md`.
"""

from __future__ import annotations

from importlib import import_module

from runner.api.openapi import Route
from runner.doors import added
from runner.doors.added import BrokenDoor
from runner.doors.door import Door
from runner.settings import Settings
from strategies.naming import did_you_mean

__all__ = ["BrokenDoor", "Door", "Route", "UnknownDoor", "check", "doors", "names", "routes"]

NAMES = ("openai", "ag_ui", "a2a", "langgraph", "mcp")
"""Packages of this folder, with a `DOOR` each."""


class UnknownDoor(ValueError):
    """No door goes by this name."""


def names() -> dict[str, str]:
    """Their names, ours first, with a line about each. Raises BrokenDoor."""
    ours = [_own(name) for name in NAMES]
    all_of_them = [*ours, *map(added.load, added.entries(NAMES))]
    return {door.name: door.serves for door in all_of_them}


def check(settings: Settings) -> None:
    """Raise UnknownDoor for one that is off and not there: it would stay open unseen.

    Raises BrokenDoor.
    """
    known = [*NAMES, *(entry.name for entry in added.entries(NAMES))]
    for name in settings.doors.off:
        if name not in known:
            hint = did_you_mean(name, known) or f"; there are {', '.join(known)}"
            raise UnknownDoor(f"doors.off: there is no door {name!r}{hint}")
    routes(settings)


def doors(settings: Settings) -> list[Door]:
    """Those that are open, ours first. Raises BrokenDoor."""
    off = settings.doors.off
    ours = [_own(name) for name in NAMES if name not in off]
    theirs = [added.load(one) for one in added.entries(NAMES) if one.name not in off]
    return [*ours, *theirs]


def routes(settings: Settings) -> tuple[Route, ...]:
    """Those of the doors that are open; one that is off is not imported. Raises BrokenDoor."""
    off = settings.doors.off
    found = [route for name in NAMES if name not in off for route in _own(name).routes(settings)]
    for entry in added.entries(NAMES):
        if entry.name not in off:
            found += added.routes(entry, added.load(entry), settings, found)
    return tuple(found)


def _own(name: str) -> Door:
    door: Door = import_module(f"{__name__}.{name}").DOOR
    return door

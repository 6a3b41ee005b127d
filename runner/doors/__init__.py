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

__all__ = ["Door", "doors", "routes"]

NAMES = ("openai", "langgraph")
"""Modules of this folder, with a `DOOR` each."""

ADDED = "runner.doors"


def doors() -> list[Door]:
    """All that there are, ours first."""
    ours = [import_module(f"{__name__}.{name}").DOOR for name in NAMES]
    return [*ours, *(entry.load() for entry in entry_points(group=ADDED))]


def routes(settings: Settings) -> tuple[Route, ...]:
    """Those of the doors that are open."""
    opened = (door for door in doors() if door.name not in settings.doors.off)
    return tuple(route for door in opened for route in door.routes(settings))

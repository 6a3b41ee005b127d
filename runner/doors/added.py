"""Doors that installed packages add, by entry points of the group `runner.doors`.

What such a package has wrong is said at the start, in a line that names the package: a door
that is not there, or that stands in another one's way, would be missed by its clients only.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from importlib.metadata import EntryPoint, entry_points
from typing import cast

from runner.api.openapi import IN_PATH, Route
from runner.api.routes import Routes
from runner.doors.door import Door
from runner.settings import Settings
from runner.telemetry.log import in_a_line

GROUP = "runner.doors"


class BrokenDoor(ValueError):
    """A door that a package adds cannot be opened. The text says whose it is, and why."""


def entries(ours: Sequence[str]) -> list[EntryPoint]:
    """All of them; an entry point has its door's name. Raises BrokenDoor for one that is taken."""
    found = [*entry_points(group=GROUP)]
    names = [*ours, *(entry.name for entry in found)]
    for entry in found:
        if names.count(entry.name) > 1:
            raise BrokenDoor(f"{_whose(entry)}: the name is taken by another door")
    return found


def load(entry: EntryPoint) -> Door:
    """Raises BrokenDoor."""
    with _blamed_on(entry):
        door = entry.load()
        if not isinstance(door, Door):
            raise BrokenDoor(f"{entry.value} is {type(door).__name__}, not a runner.doors.Door")
        if door.name != entry.name:
            raise BrokenDoor(f"its Door has another name, {door.name!r}")
        return door


def routes(
    entry: EntryPoint, door: Door, settings: Settings, others: Sequence[Route]
) -> tuple[Route, ...]:
    """Its routes, beside those of other doors. Raises BrokenDoor."""
    with _blamed_on(entry):
        made = cast("tuple[object, ...]", (*door.routes(settings),))
        found = tuple(route for route in made if isinstance(route, Route))
        if len(found) < len(made):
            raise BrokenDoor("its routes are not all runner.doors.Route")
        table = Routes(settings, others)
        for route in found:
            _check(route, table)
            route.describe(settings)
        Routes(settings, found)  # Raises where a path cannot be understood.
        return found


def _check(route: Route, others: Routes) -> None:
    if not (route.path.startswith("/") and route.method.isupper()):
        shown = f"{route.method} {route.path}"
        raise BrokenDoor(f"its route {shown!r} should be such as 'POST /mine'")
    if others.match(IN_PATH.sub("x", route.path))[0]:
        raise BrokenDoor(f"the path {route.path} is taken")
    name = route.handler.__name__
    if any(other.handler.__name__ == name for other in others.all):
        raise BrokenDoor(f"{name!r}, its handler's name, is taken: OpenAPI names operations so")


@contextmanager
def _blamed_on(entry: EntryPoint) -> Generator[None]:
    """Whatever is raised in here is the package's."""
    try:
        yield
    except BrokenDoor as error:
        raise BrokenDoor(f"{_whose(entry)}: {error}") from error
    except (Exception, SystemExit) as error:
        reason = " ".join(in_a_line(error).split())
        raise BrokenDoor(f"{_whose(entry)}: {reason}") from error


def _whose(entry: EntryPoint) -> str:
    package = entry.dist.name if entry.dist is not None else entry.module
    return f"door {entry.name!r} of the package {package}"

"""A door: the same turns, in the words of other clients."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from runner.api.openapi import Route
from runner.settings import Settings
from runner.turns.live_turn import LiveTurn
from runner.turns.service import Service


@dataclass(frozen=True, slots=True)
class Door:
    """Translates, and does nothing more: no door gives more than `/chat` would.

    A handler parses what its client sends, makes a submission (`parsing.make_submission`), and
    gives it to `asking.ask` with a `Form`, which has the client's words for what becomes of it.
    A route's `refuse` has its words for problems.

    name    by which `[doors] off` knows it.
    serves  for whom it is, in a line.
    routes  made from the settings.
    tell    the document of an ended turn, for a webhook whose `Wanted.form` is the door's name.
    """

    name: str
    serves: str
    routes: Callable[[Settings], tuple[Route, ...]]
    tell: Callable[[Service, LiveTurn], bytes] | None = None

"""A2A 1.0: the agent's card, and JSON-RPC at `POST /a2a`.

A context is a conversation, and a task is a turn. A task can be looked up, so a turn that is
streamed or goes on in the background is written down before its task is told: it survives its
client, and a restart.
"""

from __future__ import annotations

from runner.api.openapi import Route
from runner.api.operations import door
from runner.doors.a2a.card import CARD_PATH, RPC_PATH, a2a_card
from runner.doors.a2a.errors import refuse
from runner.doors.a2a.methods import a2a_call
from runner.doors.a2a.push import FORM, tell
from runner.doors.door import Door
from runner.settings import Settings

__all__ = ["DOOR"]


def routes(settings: Settings) -> tuple[Route, ...]:
    shown = door("The agent's card, for clients of A2A")
    called = door("JSON-RPC, for clients of A2A", stream=True, body=True)
    return (
        Route("GET", CARD_PATH, a2a_card, shown, is_open=True),
        Route("POST", RPC_PATH, a2a_call, called, any_query=True, refuse=refuse),
    )


DOOR = Door(FORM, "A2A 1.0 agents: the card at http://HOST", routes, tell)

"""A run as a table: what may happen to a call of the agent, and when.

A phase changes only by `Run.move(event)`. An event is the table of the phases in which
it may happen, each with the phase that follows; in any other it does not happen.

    STARTED -CALL-> CALLED -SEAL-> SEALED -STOP-> STOPPED
                    CALLED -INTERRUPT-> INTERRUPTED -SEAL-> CUT_SHORT -STOP-> STOPPED
    and from everywhere, when no turn is left that waits for the reply:
                    ... -WITHDRAW or LOSE-> FENCED -WRITE_OFF-> WRITTEN_OFF -STOP-> STOPPED
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from .base import Turn
from .errors import Outcome

if TYPE_CHECKING:
    from .ticket import LocalTicket


class Phase(StrEnum):
    """Where a run stands."""

    STARTED = "started"
    """It holds its conversation, and the agent was not called yet."""
    CALLED = "called"
    INTERRUPTED = "interrupted"
    """The agent was told to end now, with the words that it has."""
    SEALED = "sealed"
    """The reply is being kept; nobody can take it back."""
    CUT_SHORT = "cut short"
    """The same for the words of an agent that was interrupted."""
    FENCED = "fenced"
    """All of its turns have ended. The agent goes on, and holds the conversation."""
    WRITTEN_OFF = "written off"
    """It has gone on for so long that its slot was given to others."""
    STOPPED = "stopped"


# Names of the module: in Python 3.11 `Phase.CALLED` takes ten times as long.
STARTED, CALLED, INTERRUPTED, SEALED, CUT_SHORT, FENCED, WRITTEN_OFF, STOPPED = Phase

Event = Mapping[Phase, Phase]

CALL: Event = {STARTED: CALLED}
INTERRUPT: Event = {CALLED: INTERRUPTED}
SEAL: Event = {CALLED: SEALED, INTERRUPTED: CUT_SHORT}
WITHDRAW: Event = dict.fromkeys((STARTED, CALLED, INTERRUPTED), FENCED)
LOSE: Event = dict.fromkeys((SEALED, CUT_SHORT), FENCED)
WRITE_OFF: Event = {FENCED: WRITTEN_OFF}
STOP: Event = dict.fromkeys((CALLED, INTERRUPTED, SEALED, CUT_SHORT, FENCED, WRITTEN_OFF), STOPPED)

OUTCOME: Mapping[Phase, Outcome] = {
    STARTED: "not_started",
    CALLED: "rolled_back",
    INTERRUPTED: "rolled_back",
    SEALED: "unknown",
    CUT_SHORT: "unknown",
}
"""What became of a turn that ends in this phase though its agent has not stopped."""


@dataclass(eq=False, slots=True)
class Run:
    """One call of the agent, for one turn or for several that were merged; its `Attempt`.

    turn     what the agent is given.
    tickets  those that wait for its reply.
    """

    turn: Turn
    tickets: list[LocalTicket]
    started_at: float
    phase: Phase = STARTED
    timer: asyncio.TimerHandle | None = None
    task: asyncio.Task[None] = field(init=False)

    def __repr__(self) -> str:
        return f"<run of {self.turn.id} in {self.turn.conversation!r}: {self.phase}>"

    def move(self, event: Event) -> bool:
        """Whether the event may happen now; if so, it has."""
        phase = event.get(self.phase)
        if phase is None:
            return False
        self.phase = phase
        return True

    # As an Attempt.

    @property
    def interrupted(self) -> bool:
        return self.phase is INTERRUPTED or self.phase is CUT_SHORT

    def seal(self) -> None:
        if not self.move(SEAL):
            raise asyncio.CancelledError
        if self.phase is CUT_SHORT:
            self.task.uncancel()  # It did what it was told, and is not to be stopped any more.

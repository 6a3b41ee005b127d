"""What a client asks for with one message: the turn, and how it wants to hear of it."""

from __future__ import annotations

from dataclasses import dataclass

from runner.settings import OnDisconnect
from strategies import Turn


@dataclass(frozen=True, slots=True)
class Submission:
    """A message on its way in.

    key            the idempotency key, or None.
    respond_async  answer at once that the turn was accepted.
    wait_s         answer so after as many seconds, where the turn has not ended by then.
    on_disconnect  what becomes of the turn when this client leaves.
    stream         answer with the events of the turn as they happen.
    applied        which of its preferences are heeded, for `Preference-Applied`.
    """

    turn: Turn
    on_disconnect: OnDisconnect
    key: str | None = None
    respond_async: bool = False
    wait_s: float | None = None
    stream: bool = False
    applied: str = ""

    @property
    def needs_row(self) -> bool:
        """Whether somebody may ask for the turn again when this connection is no more."""
        promised = self.respond_async or self.wait_s is not None
        return promised or self.key is not None or self.on_disconnect == "continue"

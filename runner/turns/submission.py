"""What a client asks for with one message: the turn, and how it wants the answer."""

from __future__ import annotations

from dataclasses import dataclass

from runner.settings import OnDisconnect
from runner.turns.origin import UNKNOWN, Origin
from strategies import Turn


@dataclass(frozen=True, slots=True)
class Submission:
    """A message on its way in.

    key            the idempotency key, or None.
    respond_async  answer at once that the turn was accepted.
    wait_s         the same, after this many seconds, if the turn has not ended by then.
    on_disconnect  what becomes of the turn when this client leaves.
    stream         answer with the events of the turn as they happen.
    webhook        who is to be told when the turn has ended, or None: a URL, or `Wanted.text`.
    applied        the preferences that were applied, for `Preference-Applied`.
    origin         the request that it came in.
    """

    turn: Turn
    on_disconnect: OnDisconnect
    key: str | None = None
    respond_async: bool = False
    wait_s: float | None = None
    stream: bool = False
    webhook: str | None = None
    applied: str = ""
    origin: Origin = UNKNOWN

    @property
    def outlives_client(self) -> bool:
        """Whether the turn waits on when this client has left."""
        promised = self.respond_async or self.wait_s is not None
        return promised or self.on_disconnect == "continue"

    @property
    def needs_row(self) -> bool:
        """Whether a client can ask for the turn again after this connection has ended."""
        return self.outlives_client or self.key is not None

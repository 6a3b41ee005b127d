"""Whether, and when, something is tried again."""

from __future__ import annotations

import random
import time
from math import inf

from runner.client.errors import OutcomeUnknown, Refused, TurnlineError

FIRST_PAUSE_S = 0.25
LONGEST_PAUSE_S = 4.0
GATEWAY_STATUSES = (502, 503, 504)


class Patience:
    """Of one call.

    A refusal is tried again where the server says that it may help (`retry_after_s`) and that it
    is safe: the agent was not called, or the idempotency key finds the turn again. So is a
    server that is not reached. Both count: `retries` in all, and none later than the deadline.
    A connection that broke after something was sent is tried again for `timeout_s`.

    was_sent  a server may have taken what was sent.
    """

    def __init__(
        self, retries: int, timeout_s: float, deadline_s: float = inf, *, was_sent: bool = False
    ) -> None:
        self.was_sent = was_sent
        self._left = retries
        self._timeout_s = timeout_s
        self._ends_at = time.monotonic() + deadline_s
        self._lost_at: float | None = None
        self._tries = 0

    @property
    def left_s(self) -> float:
        """Until the deadline."""
        return self._ends_at - time.monotonic()

    def go_on(self) -> None:
        """Something arrived."""
        self._lost_at, self._tries = None, 0

    def after(self, refusal: TurnlineError) -> float:
        """Seconds to wait before it is sent again. Raises the refusal where it is not to be."""
        after_s = refusal.retry_after_s
        if after_s is None and not refusal.type and refusal.status in GATEWAY_STATUSES:
            after_s = 0.0  # A proxy says so, of a server that may be restarting.
        if after_s is None or refusal.outcome not in ("not_started", "unknown"):
            raise refusal
        self.was_sent = refusal.outcome != "not_started"
        # Never before the time, and not all at once.
        return self._count(refusal, max(after_s * random.uniform(1.0, 1.2), self._pause_s()))

    def after_loss(self, why: str, turn_id: str, *, was_sent: bool) -> float:
        """The same for a connection that broke, or was never made."""
        self.was_sent |= was_sent
        now = time.monotonic()
        self._lost_at = self._lost_at or now
        pause_s = self._pause_s()
        told = {"detail": why, "turn_id": turn_id}
        if not self.was_sent:
            none = {"title": "Nothing answers", "outcome": "not_started", **told}
            return self._count(Refused(none), pause_s)
        if now + pause_s - self._lost_at > self._timeout_s:
            lost = {"title": "The connection was lost", "outcome": "unknown", **told}
            raise OutcomeUnknown(lost)
        return pause_s

    def _pause_s(self) -> float:
        self._tries += 1
        longest_s = min(FIRST_PAUSE_S * 2.0**self._tries, LONGEST_PAUSE_S)
        return longest_s * random.uniform(0.5, 1.0)

    def _count(self, reason: TurnlineError, pause_s: float) -> float:
        if self._left <= 0 or pause_s > min(self._timeout_s, self.left_s):
            raise reason
        self._left -= 1
        return pause_s

"""How clients behave: when an attempt is given up, and what they do after a refusal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from loadtests.measures.records import BROKEN, LEFT


@dataclass(frozen=True, slots=True)
class Clients:
    """How all clients of a workload behave. Times in units of the mean service time.

    timeout         an attempt is worth nothing after this long.
    patience        a user begins no attempt so long after the first.
    retry           the name of a policy in POLICIES.
    tells_deadline  each attempt says its timeout to the server (`Turn-Deadline-Ms`).
    leaves          the connection is closed at the timeout; otherwise the answer comes late.
    """

    timeout: float
    patience: float
    retry: str
    tells_deadline: bool = True
    leaves: bool = True


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an attempt has no answer: a status (LEFT where the client gave it up) and a hint."""

    status: int
    retry_after_s: float | None = None


Policy = Callable[[int, Refusal, float, Random], float | None]
"""(attempts so far, the last one's refusal, unit in seconds, rng) -> seconds to wait, or None."""


def give_up(tried: int, refusal: Refusal, unit_s: float, rng: Random) -> float | None:
    return None


def fixed(tried: int, refusal: Refusal, unit_s: float, rng: Random) -> float | None:
    """Again after one unit, whatever the server says."""
    return unit_s


def openai(tried: int, refusal: Refusal, unit_s: float, rng: Random) -> float | None:
    """Twice, as OpenAI's Python client does by default.

    After a timeout, a broken connection, 408, 409, 429 and 5xx; it honours Retry-After up
    to 60 s, and else waits 0.5 s x 2^n up to 8 s, less up to a quarter. Source:
    openai-python `_base_client.py`, `_calculate_retry_timeout`. Its seconds are units here.
    """
    retryable = refusal.status in (LEFT, BROKEN, 408, 409, 429) or refusal.status >= 500
    if tried > 2 or not retryable:
        return None
    if refusal.retry_after_s is not None and 0 < refusal.retry_after_s <= 60 * unit_s:
        return refusal.retry_after_s
    return min(0.5 * 2.0 ** (tried - 1), 8.0) * (1 - 0.25 * rng.random()) * unit_s


def backoff(tried: int, refusal: Refusal, unit_s: float, rng: Random) -> float | None:
    """Exponential with full jitter (Brooker 2015, AWS), and never before Retry-After."""
    delay_s = rng.uniform(0, min(2.0 ** (tried - 1), 8.0)) * unit_s
    return max(delay_s, refusal.retry_after_s or 0.0)


POLICIES: dict[str, Policy] = {
    "give-up": give_up,
    "fixed": fixed,
    "openai": openai,
    "backoff": backoff,
}


PATIENT = Clients(timeout=60, patience=60, retry="backoff", tells_deadline=False)
USUAL = Clients(timeout=10, patience=30, retry="backoff")
"""As in the simulations that this project started from: ten service times, and three tries."""

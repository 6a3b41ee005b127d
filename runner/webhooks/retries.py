"""When a webhook that was not taken is sent again."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime

FIRST_S, LONGEST_S = 5.0, 3_600.0


def pauses() -> Iterator[float]:
    """Seconds between tries: about 5, twice as many, ... an hour, for ever.

    About, so that not all come at the same instant after an outage of their receiver.
    """
    pause_s = FIRST_S
    while True:
        yield pause_s * random.uniform(0.8, 1.2)
        pause_s = min(2 * pause_s, LONGEST_S)


def asked_for(retry_after: str) -> float:
    """The seconds that `Retry-After` says, in numbers or as a date; an hour at most."""
    if re.fullmatch(r"[0-9]{1,9}", retry_after):
        return min(float(retry_after), LONGEST_S)
    try:
        until = parsedate_to_datetime(retry_after).timestamp()
    except (ValueError, OverflowError):
        return 0.0
    return max(0.0, min(until - time.time(), LONGEST_S))

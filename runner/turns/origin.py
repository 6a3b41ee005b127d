"""Where a turn comes from: what ties its lines and spans to the request that asked for it."""

from __future__ import annotations

import re
from dataclasses import dataclass

# W3C Trace Context. A later version may go on after a dash; of version 00 that is all there is.
TRACEPARENT = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:(?<!^00.{53})-.{0,200})?"
)


@dataclass(frozen=True, slots=True)
class Origin:
    """The request of a turn. Each is "" where it is not known.

    request_id   the client's own, or one that was made for it.
    client       who asked: a caller's name, an address, or `name@address`.
    traceparent  a valid one, as it came: the span of the caller's in which it asked.
    """

    request_id: str = ""
    client: str = ""
    traceparent: str = ""

    @property
    def trace_id(self) -> str:
        """Of the caller's trace: 32 digits of hex."""
        return self.traceparent[3:35]


UNKNOWN = Origin()


def valid_traceparent(text: str) -> str:
    """The header's value if it is valid; otherwise "", as if none had come."""
    text = text.strip()
    return text if TRACEPARENT.fullmatch(text) else ""

"""Ids of turns: nobody guesses one, and each says when it was made.

So that is known wherever the turn is: while it lives, in the store, after a restart.
"""

from __future__ import annotations

from secrets import token_hex
from time import time


def new_id() -> str:
    return f"{int(time()):08x}{token_hex(12)}"


def made_at(turn_id: str) -> int:
    """Seconds since 1970."""
    return int(turn_id[:8], 16)

"""The agent whose replies prove order: each holds the hash of the history before it.

The reply to the n-th message is `{"turn": n, "prior": p, "hash": h}` with p the h of the
reply before it, at first 64 zeros, and h = SHA-256(p || message). A turn that was lost,
repeated, reordered or answered from a stale history breaks the chain.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from hashlib import sha256

from runner.agents.base import Message, seconds

START = "0" * 64


class Chain:
    """Answers with the next link. `thinking_s` is how many seconds each answer takes."""

    def __init__(self, thinking_s: float = 0.0) -> None:
        self._thinking_s = seconds("thinking_s", thinking_s)

    async def answer(self, message: str, history: Sequence[Message]) -> str:
        # Read before the work and answered after it, as a model does with its context.
        turn = len(history) // 2 + 1
        prior = json.loads(history[-1]["content"])["hash"] if history else START
        await asyncio.sleep(self._thinking_s)
        return make_link(turn, prior, message)


def make_link(turn: int, prior: str, message: str) -> str:
    """The reply, as JSON."""
    digest = sha256(prior.encode() + message.encode()).hexdigest()
    return json.dumps({"turn": turn, "prior": prior, "hash": digest}, separators=(",", ":"))

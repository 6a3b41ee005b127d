"""The agent whose replies prove order: each holds the hash of the history before it.

The reply to the n-th message is `{"turn": n, "prior": p, "hash": h}` with
h = SHA-256(p || message), p the h of the reply before it, and 64 zeros at the
start. A turn that was lost, repeated, reordered or answered from a stale history
breaks the chain, and the replies alone show where.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Any, cast

from runner.agents.base import Message

START = "0" * 64


class Chain:
    """Answers with the next link. `thinking_s` is how many seconds each answer takes."""

    def __init__(self, thinking_s: float = 0.0) -> None:
        self._thinking_s = float(thinking_s)
        if not self._thinking_s >= 0:
            raise ValueError("thinking_s must be 0 or more")

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


def check_chain(history: Iterable[Message]) -> list[str]:
    """The faults of a whole history, oldest first; none if every turn stands on the one before."""
    faults: list[str] = []
    messages = list(history)
    prior = START
    turns = zip(messages[::2], messages[1::2], strict=False)
    for number, (asked, answered) in enumerate(turns, 1):
        if (asked["role"], answered["role"]) != ("user", "assistant"):
            faults.append(f"turn {number} is not a message and its reply")
        link = make_link(number, prior, asked["content"])
        if answered["content"] != link:
            faults.append(f"turn {number} says {answered['content']}, and should say {link}")
        prior = str(_parse(answered["content"]).get("hash"))
    if len(messages) % 2:
        faults.append("the last turn has a message and no reply")
    return faults


def check_replies(replies: Iterable[tuple[str, str]]) -> list[str]:
    """The faults that (message, reply) pairs of one conversation show, in any order.

    Replies may be missing at the end (a client that left); between two that are
    there, none may be.
    """
    faults: list[str] = []
    by_turn: dict[int, tuple[str, str]] = {}
    for message, reply in replies:
        turn = _parse(reply).get("turn", 0)
        if type(turn) is not int:
            faults.append("a reply has no turn number")
            continue
        if turn in by_turn:
            faults.append(f"turn {turn} was answered twice")
        by_turn[turn] = (message, reply)
    prior = START
    for number, turn in enumerate(sorted(by_turn), 1):
        message, reply = by_turn[turn]
        if turn != number:
            faults.append(f"turn {number} is missing before turn {turn}")
            break
        if reply != make_link(turn, prior, message):
            faults.append(f"turn {turn} does not stand on the one before")
        prior = str(_parse(reply).get("hash"))
    return faults


def _parse(reply: str) -> dict[str, Any]:
    try:
        link: object = json.loads(reply)
    except ValueError:
        return {}
    return cast("dict[str, Any]", link) if isinstance(link, dict) else {}

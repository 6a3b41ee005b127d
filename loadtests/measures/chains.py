"""What the replies of the chain agent prove: order, loss and duplication, without trust."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, cast

from runner.agents.base import Message
from runner.agents.chain import START, make_link


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

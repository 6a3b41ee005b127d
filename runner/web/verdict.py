"""What a history proves: which messages are in it, in what order, and what each reply knew."""

from __future__ import annotations

from collections.abc import Sequence

from runner.agents.base import Message
from runner.agents.eliza import Eliza

JOINED_BY = "\n\n"
"""Stands between messages that were merged."""


async def verdict(messages: Sequence[str], history: Sequence[Message]) -> str:
    """One sentence in plain words, of a history whose replies are Eliza's.

    messages  those that were sent, in order; no two are the same.
    """
    asked = [said["content"] for said in history if said["role"] == "user"]
    kept = [messages.index(one) for text in asked for one in text.split(JOINED_BY)]
    words = f"{_share(len(set(kept)), len(messages), 'message', 'messages')} in the history"
    if len(kept) > 1:
        words += ", in order" if kept == sorted(set(kept)) else ", out of order or twice"
    if len(asked) < len(kept):
        words += f", as {len(asked)} turns" if len(asked) > 1 else ", as one turn"
    unaware, stopped = await _faults(history)
    if unaware:
        share = _share(unaware, len(asked), "reply", "replies")
        words += f", but {share} given without knowing what came before"
    if stopped:
        share = _share(stopped, len(asked), "reply", "replies")
        words += f", but {share} cut off by the next message"
    if len(asked) > 1 and not unaware and not stopped:
        words += ", and each reply knows what came before"
    return f"{words[0].upper()}{words[1:]}."


async def _faults(history: Sequence[Message]) -> tuple[int, int]:
    """How many replies are not what Eliza says after the history before them; how many are cut."""
    unaware = stopped = 0
    for place in range(1, len(history), 2):
        message, reply = history[place - 1]["content"], history[place]["content"]
        aware = await Eliza(history[: place - 1]).answer(message)
        unaware += not aware.startswith(reply)
        stopped += reply != aware and aware.startswith(reply)
    return unaware, stopped


def _share(part: int, whole: int, one: str, many: str) -> str:
    """ "1 of 5 replies is", "all 5 messages are"."""
    if part == whole > 1:
        return f"all {whole} {many} are"
    if whole == 1:
        return f"the {one} is"
    return f"{part or 'none'} of {whole} {many} {'is' if part == 1 else 'are'}"

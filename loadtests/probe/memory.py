"""Does the agent remember? It is told a word, and asked for it one turn later and at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from loadtests.probe.sentences import named

REMEMBERS = "remembers"
NOTHING = "remembers nothing"
UNKNOWN = "cannot tell"


@dataclass(frozen=True, slots=True)
class Memory:
    """What is known of it.

    kind     REMEMBERS, NOTHING or UNKNOWN.
    why      in words.
    is_sure  the word was named each time at the first question, so one miss says something.
    ran_s    how long a turn usually takes.
    """

    kind: str
    why: str
    is_sure: bool = False
    ran_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Recall:
    """A word that was told, and the replies to the questions after it, up to one that names it."""

    word: str
    replies: tuple[str, ...]

    @property
    def is_named(self) -> bool:
        return bool(named([self.word], self.replies[-1]))


@dataclass(frozen=True, slots=True)
class Replies:
    """What there is to decide from.

    told     conversations that were told a word, and asked.
    untold   replies to the question where nothing was told before.
    at_once  told and asked in one message; needed only where no word was named.
    """

    ask: str
    told: Sequence[Recall]
    untold: Sequence[str]
    at_once: Recall | None = None

    @property
    def are_named(self) -> int:
        return sum(recall.is_named for recall in self.told)


def decide(replies: Replies, ran_s: float = 0.0) -> Memory:
    """What the replies say of the agent's memory."""
    count, of = replies.are_named, len(replies.told)
    if not of:
        return Memory(UNKNOWN, "no turn that tells a word was kept")
    if count == of:
        why = f"a word told in one turn was named in the next, {count} of {of} times"
        is_sure = all(len(recall.replies) == 1 for recall in replies.told)
        return Memory(REMEMBERS, why, is_sure, ran_s)
    if count:
        why = f"a word told in one turn was named in the next only {count} of {of} times"
        return Memory(UNKNOWN, why, ran_s=ran_s)
    assert replies.at_once is not None
    return _unnamed(replies, replies.at_once, ran_s)


def _unnamed(replies: Replies, at_once: Recall, ran_s: float) -> Memory:
    after = {reply for recall in replies.told for reply in recall.replies}
    without = set(replies.untold)
    is_same = len(after | without) == 1
    depends = len(without) == 1 and not is_same
    if not at_once.is_named:
        why = "no word is named, not even where it is told and asked for in one message"
    elif depends:
        why = "no word is named, but what it replies depends on what came before"
    elif replies.ask in at_once.replies[-1] and not is_same:
        why = "it repeats its message, so that it names a word there says nothing"
    else:
        why = (
            "a word is named where it is told and asked for in one message, and never a turn later"
        )
        return Memory(NOTHING, why, ran_s=ran_s)
    return Memory(UNKNOWN, why, ran_s=ran_s)

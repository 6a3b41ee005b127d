"""What is wrong with a conversation? Its replies, held against its history as it was served.

In the order of the history, a question must name the word that was told last, and no reply may
name a word that its turn cannot know of.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from loadtests.probe.client import SeenTurn
from loadtests.probe.sentences import named
from runner.agents.base import Message

DIES = "dies"
HANGS = "hangs"
FAILS = "fails"
MIXES = "mixes conversations"
KEEPS = "keeps what was rolled back"
FORGETS = "forgets at a restart"
MISSING = "reply not in the history"
LOST = "lost turn"
AHEAD = "unanswered turns sent"
STALE = "stale context"

FAULTS = (DIES, HANGS, FAILS, MIXES, KEEPS, MISSING, FORGETS, LOST, AHEAD, STALE)
"""The worst first; a trial is named by the worst that it shows."""

MISSES = frozenset({FORGETS, LOST, STALE})
"""Faults that are seen by what a reply does not say, so only where the agent does remember."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A fault and what shows it."""

    kind: str
    evidence: str


@dataclass(frozen=True, slots=True)
class Trial:
    """What was tried in one conversation.

    ask        the question.
    words      told in it, in this trial.
    earlier    told in it, in other trials: an object with its own history has one conversation.
    foreign    told in other conversations.
    seen       its turns, as their clients saw them end.
    together   numbers of those that were sent while others of the conversation ran.
    history    all of it, afterwards.
    restarted  the server was killed in between.
    """

    ask: str
    words: tuple[str, ...]
    earlier: tuple[str, ...]
    foreign: tuple[str, ...]
    seen: tuple[SeenTurn, ...]
    history: Sequence[Message]
    together: frozenset[int] = field(default=frozenset())
    restarted: bool = False

    @property
    def turns(self) -> list[tuple[str, str]]:
        """Message and reply of each turn that was kept."""
        said = [message["content"] for message in self.history]
        return list(zip(said[::2], said[1::2], strict=True))

    @property
    def kept(self) -> list[str]:
        """The words that the history has, in its order."""
        return [word for message, _ in self.turns for word in named(self.words, message)]


def judge(trial: Trial) -> list[Finding]:
    """All that is wrong, the worst first, each kind once."""
    found: dict[str, Finding] = {}
    for finding in (*_ended(trial), *_unkept(trial), *_words(trial)):
        found.setdefault(finding.kind, finding)
    return [found[kind] for kind in FAULTS if kind in found]


def _ended(trial: Trial) -> Iterator[Finding]:
    for seen in trial.seen:
        if seen.hangs:
            yield Finding(HANGS, f"{seen.message!r}: {seen.text}")
        elif seen.is_failed:
            yield Finding(FAILS, f"{seen.message!r}: {seen.text}")


def _unkept(trial: Trial) -> Iterator[Finding]:
    """A reply that a client has must be in the history."""
    turns = trial.turns
    for seen in trial.seen:
        if seen.is_answered and (
            seen.number > len(turns) or turns[seen.number - 1][1] != seen.text
        ):
            yield Finding(
                MISSING, f"the reply {_short(seen.text)} is not turn {seen.number} of the history"
            )


def _words(trial: Trial) -> Iterator[Finding]:
    kept, told = trial.kept, list[str]()
    missed: list[tuple[int, str, str]] = []
    knows = False
    for number, (message, reply) in enumerate(trial.turns, 1):
        here = named((*trial.earlier, *trial.words), message)
        strange = _strange(trial, kept, [*told, *here], reply)
        yield from (Finding(kind, f"turn {number} {why}: {_short(reply)}") for kind, why in strange)
        if (
            trial.ask in message
            and not here
            and not strange
            and told[-1:]
            and told[-1] in trial.words
        ):
            knows = bool(named(told[-1:], reply))
            if not knows:
                missed.append((number, told[-1], reply))
        told += here
    yield from _missed(trial, missed, knows)


def _strange(trial: Trial, kept: list[str], known: list[str], reply: str) -> list[tuple[str, str]]:
    """The words in a reply of which its turn cannot know, by their faults."""
    unknown = [word for word in named(trial.words, reply) if word not in known]
    found = [(MIXES, f"names {word}, told in another conversation")
             for word in named(trial.foreign, reply)]  # fmt: skip
    for word in unknown:
        if word in kept:
            found.append((AHEAD, f"names {word}, which a later turn tells"))
        else:
            found.append((KEEPS, f"names {word}, told in a turn that was not kept"))
    return found


def _missed(trial: Trial, missed: list[tuple[int, str, str]], knows: bool) -> Iterator[Finding]:
    """knows  the last question was answered with its word."""
    for number, word, reply in missed:
        text = f"turn {number} does not name {word}, told in an earlier one: {_short(reply)}"
        if not knows:
            yield Finding(FORGETS if trial.restarted else LOST, text)
        elif number in trial.together:
            yield Finding(STALE, text)


def _short(text: str) -> str:
    return repr(text if len(text) <= 120 else f"{text[:120]} ...")

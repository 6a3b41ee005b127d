"""The probe's side of a server: conversations, and what was told and seen in them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from http.client import HTTPException

from loadtests.probe.client import NEEDS_PERSON, SeenTurn, Sent
from loadtests.probe.judge import DIES, HANGS, Finding, Trial
from loadtests.probe.memory import Recall
from loadtests.probe.sentences import Sentences, named
from loadtests.probe.server import Server

ASKS = 3
"""How often a quiet question is put, until its word is named: a model may miss one."""


class Stop(Exception):
    """The server cannot be asked any more."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.evidence)
        self.finding = finding


class NeedsPerson(Exception):
    """The agent wants a person's answer, which the probe has not."""


class Probed:
    """A server, and what was told to it.

    prefix  begins the names of all conversations.
    """

    def __init__(self, server: Server, sentences: Sentences, prefix: str) -> None:
        self.server = server
        self.sentences = sentences
        self.told: dict[str, str] = {}
        """Each word, and the name of the conversation in which it was told."""
        self.current: list[Conversation] = []
        """Those of the trial that is being made."""
        self.asks = ASKS
        self._prefix = prefix
        self._begun = 0

    def conversation(self) -> Conversation:
        """A new one, of the trial that is being made."""
        begun = Conversation(self, self.new_name())
        self.current.append(begun)
        return begun

    def new_name(self) -> str:
        """Of a new conversation; or of the only one, of an object with a history of its own."""
        self._begun += 1
        is_single = self.server.facts.single_conversation
        return "default" if is_single else f"{self._prefix}-{self._begun}"

    def together(
        self, turns: Sequence[tuple[Conversation, str]], stagger_s: float = 0.0
    ) -> list[SeenTurn]:
        """Send all before any is waited for, so many seconds apart. Raises Stop, NeedsPerson."""
        sent: list[tuple[Conversation, Sent]] = []
        for conversation, message in turns:
            if sent:
                time.sleep(stagger_s)
            sent.append((conversation, self.server.client.send(message, conversation.name)))
        seen: list[SeenTurn] = []
        for ahead, (conversation, one) in enumerate(sent):
            hangs = any(before.hangs for before in seen)
            seen.append(self.server.client.receive(one, ahead, at_once=hangs))
            conversation.seen.append(seen[-1])
        for ended in seen:
            self.check(ended)
        return seen

    def check(self, seen: SeenTurn) -> None:
        """Raises Stop, NeedsPerson."""
        if seen.hangs:
            raise Stop(Finding(HANGS, f"{seen.message!r}: {seen.text}"))
        if seen.is_lost:
            how = self.server.how_it_died() or "the connection was lost"
            raise Stop(Finding(DIES, f"{seen.message!r}: {how}"))
        if seen.cause == NEEDS_PERSON:
            raise NeedsPerson(f"{seen.message!r}: the agent asks for a person: {seen.text}")


class Conversation:
    """One conversation, as far as one trial goes."""

    def __init__(self, probed: Probed, name: str) -> None:
        self.name = name
        self.seen: list[SeenTurn] = []
        self.overlapping: set[int] = set()
        self.was_restarted = False
        self._probed = probed
        self._words: list[str] = []
        self._ended: Trial | None = None

    def new_word(self) -> str:
        """One that is about to be told here."""
        word = self._probed.sentences.new_word()
        self._words.append(word)
        self._probed.told[word] = self.name
        return word

    def telling(self) -> str:
        """A message that tells a new word."""
        return self._probed.sentences.telling(self.new_word())

    def turn(self, message: str, **headers: str) -> SeenTurn:
        """Raises Stop, NeedsPerson."""
        seen = self._probed.server.client.turn(message, self.name, **headers)
        self.seen.append(seen)
        self._probed.check(seen)
        return seen

    def ask(self) -> SeenTurn:
        return self.turn(self._probed.sentences.ask)

    def recall(self) -> Recall | None:
        """End the trial with questions for the word of the history that was told last."""
        kept = self.trial().kept
        replies = [self.ask().text]
        while kept and not named(kept[-1:], replies[-1]) and len(replies) < self._probed.asks:
            replies.append(self.ask().text)
        self._ended = self.trial()  # An object with its own history goes on with other trials.
        return Recall(kept[-1], tuple(replies)) if kept else None

    def trial(self) -> Trial:
        """What there is to be judged. Raises Stop."""
        if self._ended is not None:
            return self._ended
        try:
            history = self._probed.server.client.history(self.name)
        except (OSError, HTTPException) as error:
            died = self._probed.server.how_it_died()
            kind = DIES if died else HANGS
            raise Stop(Finding(kind, died or f"the history was not to be had: {error}")) from error
        told = self._probed.told
        return Trial(
            self._probed.sentences.ask,
            tuple(self._words),
            tuple(word for word in told if told[word] == self.name and word not in self._words),
            tuple(word for word in told if told[word] != self.name),
            tuple(self.seen),
            history,
            frozenset(self.overlapping),
            self.was_restarted,
        )

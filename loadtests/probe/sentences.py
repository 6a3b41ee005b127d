"""What an agent is told and asked: two sentences, the first with a made-up word in it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from random import SystemRandom

TELL = "My name is {word}."
ASK = "What is my name?"

CONSONANTS, VOWELS = "bdfgklmnprstvz", "aeiou"

random = SystemRandom()


def _word() -> str:
    """Three syllables: 300,000 words, few of which mean anything."""
    return "".join(random.choice(CONSONANTS) + random.choice(VOWELS) for _ in range(3)).capitalize()


def _number() -> str:
    return str(random.randrange(100_000, 1_000_000))


MADE_UP: dict[str, Callable[[], str]] = {"{word}": _word, "{number}": _number}


@dataclass(frozen=True, slots=True)
class Sentences:
    """`tell` has one of MADE_UP in it, `ask` asks for it. Raises ValueError for others."""

    tell: str = TELL
    ask: str = ASK

    def __post_init__(self) -> None:
        if sum(self.tell.count(place) for place in MADE_UP) != 1:
            raise ValueError('--tell must have {word} or {number} in it, as "My name is {word}."')
        if not self.ask.strip() or any(place in self.ask for place in MADE_UP):
            raise ValueError("--ask must be a question, without {word} or {number}")

    def new_word(self) -> str:
        """Different from all before it, or nearly surely so."""
        return next(make() for place, make in MADE_UP.items() if place in self.tell)

    def telling(self, word: str) -> str:
        return filled(self.tell, word)


def filled(text: str, word: str) -> str:
    """The text with the word in its place, if it has one."""
    for place in MADE_UP:
        text = text.replace(place, word)
    return text


def named(words: Iterable[str], text: str) -> list[str]:
    """Those of the words that are in the text, however it is spelt: 123,456 is 123456."""
    plain = re.sub(r"(?<=\d)[, _.'](?=\d{3})", "", text).casefold()
    return [word for word in words if word.casefold() in plain]

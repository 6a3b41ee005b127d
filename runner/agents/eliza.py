"""Eliza: a small, stateful agent without any dependency, after Weizenbaum (CACM 9:1, 1966).

It remembers a name and counts turns, so that a lost turn, or two at once, show.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence

from runner.agents.base import Message, seconds

REFLECTIONS = {
    "am": "are", "are": "am", "i": "you", "i'd": "you'd", "i'll": "you'll", "i'm": "you are",
    "i've": "you have", "me": "you", "mine": "yours", "my": "your", "myself": "yourself",
    "was": "were", "you": "I", "you'll": "I'll", "you're": "I am", "you've": "I have",
    "your": "my", "yours": "mine", "yourself": "myself",
}  # fmt: skip

RULES: tuple[tuple[re.Pattern[str], tuple[str, ...]], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), answers)
    for pattern, answers in (
        (r"\b(?:hello|hi|hey|good (?:morning|evening))\b", ("Hello{name}. How are you today?",)),
        (r"\bi need (.+)", ("Why do you need {0}?", "Would it really help you to get {0}?")),
        (r"\bwhy don'?t you (.+)", ("Do you really think I don't {0}?",)),
        (r"\bwhy can'?t i (.+)", ("Do you think you should be able to {0}?",)),
        (r"\bi can'?t (.+)", ("How do you know you can't {0}?", "What would it take to {0}?")),
        (r"\bi(?:'m| am) (.+)", ("How long have you been {0}?", "Why do you tell me you are {0}?")),
        (r"\bare you (.+)", ("Does it matter to you whether I am {0}?",)),
        (r"\bi feel (.+)", ("Tell me more about feeling {0}.", "Do you often feel {0}?")),
        (r"\bi want (.+)", ("What would it mean to you to have {0}?",)),
        (r"\bi (?:think|believe) (.+)", ("Are you sure that {0}?",)),
        (r"\bmy (mother|father|sister|brother|family)\b", ("Tell me more about your {0}.",)),
        (r"\bbecause (.+)", ("Is that the real reason?", "What else might explain it?")),
        (r"\bsorry\b", ("There is no need to apologise{name}.",)),
        (r"\b(?:bye|goodbye)\b", ("Goodbye{name}. It was good to talk.",)),
        (r"\b(yes|no)\b", ("You sound quite sure{name}.", "I see. Tell me more.")),
        (r"\?\s*$", ("What do you think{name}?", "Why do you ask?")),
        (r"", ("Please go on{name}.", "How does that make you feel?", "I see. And then?")),
    )
)

NAME = re.compile(r"\b(?:my name is|call me)\s+([^\W\d_][\w'-]*)", re.IGNORECASE)
ASKS_NAME = re.compile(r"\bwhat(?:'s| is) my name\b|\bwho am i\b", re.IGNORECASE)
ASKS_COUNT = re.compile(r"\bhow (?:many|often)\b.*\b(?:turn|message|time|talk)", re.IGNORECASE)


class Eliza:
    """One conversation. `thinking_s` is how many seconds each answer takes."""

    def __init__(self, history: Sequence[Message] = (), thinking_s: float = 0.0) -> None:
        self._thinking_s = seconds("thinking_s", thinking_s)
        self._name = ""
        self._turns = 0
        for said in history:
            if said["role"] == "user":
                self._remember(said["content"])

    async def answer(self, message: str) -> str:
        self._remember(message)
        await asyncio.sleep(self._thinking_s)
        if ASKS_COUNT.search(message):
            return f"This is turn {self._turns} of our conversation."
        if ASKS_NAME.search(message):
            unknown = "You have not told me your name."
            return f"Your name is {self._name}." if self._name else unknown
        if NAME.search(message):
            return f"Nice to meet you, {self._name}."
        return self._reflect(message)

    def _remember(self, message: str) -> None:
        self._turns += 1
        if match := NAME.search(message):
            self._name = match[1].capitalize()

    def _reflect(self, message: str) -> str:
        for pattern, answers in RULES:
            if match := pattern.search(message):
                # By the turn, not by chance: the same conversation gives the same replies.
                answer = answers[self._turns % len(answers)]
                name = f", {self._name}" if self._name else ""
                return answer.format(*map(_turn_round, match.groups()), name=name)
        raise AssertionError("the last rule matches everything")


def _turn_round(words: str) -> str:
    """ "my head hurts." said back: "your head hurts"."""
    kept = words.strip().rstrip(".!?").split()
    return " ".join(REFLECTIONS.get(word.lower(), word) for word in kept)

"""Clients of several servers, each of which asks under a key until it is told what came of it."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, count

from tests.support.client import PATIENCE_S, Answer, until
from tests.support.server import Server

AGAIN_S = 0.02


@dataclass(frozen=True, slots=True)
class Told:
    """What a client was told of one message.

    number       of the turn in its conversation, or None where the turn was only accepted.
    sent_at      when it was first sent; `told_at`: when the answer had come.
    """

    message: str
    conversation: str
    turn_id: str
    number: int | None
    reply: str | None
    sent_at: float
    told_at: float


class Crowd:
    """`each` clients for each conversation; a client sends its messages one after another.

    messages  how many a client sends, or None: until `finish`.
    words     what a message begins with, one of them.
    prefer    how a client wishes to be answered, one of them.
    """

    def __init__(
        self,
        servers: Sequence[Server],
        conversations: Sequence[str],
        each: int,
        messages: int | None = None,
        words: Sequence[str] = ("say",),
        prefer: Sequence[str] = ("x",),
    ) -> None:
        self.conversations = conversations
        self.told: list[Told] = []
        self.failed: dict[str, Answer] = {}
        self.asked_again: list[Answer | Exception] = []
        self._servers, self._words, self._prefer = servers, words, prefer
        self._numbers = range(messages) if messages is not None else count()
        self._done = threading.Event()
        self._threads = [
            threading.Thread(target=self._send_all, args=(conversation, client), daemon=True)
            for conversation in conversations
            for client in range(each)
        ]
        for thread in self._threads:
            thread.start()

    def finish(self) -> None:
        """Have each send no more, and wait until all are told."""
        self._done.set()
        self.wait()

    def wait(self) -> None:
        until(lambda: not any(one.is_alive() for one in self._threads), "all are told", PATIENCE_S)

    def of(self, conversation: str) -> list[Told]:
        return [one for one in self.told if one.conversation == conversation]

    def _send_all(self, conversation: str, client: int) -> None:
        rng = random.Random(f"{conversation} {client}")
        for number in self._numbers:
            if self._done.is_set():
                return
            message = f"{rng.choice(self._words)} {conversation}.{client}.{number}"
            self._until_told(rng, conversation, message)

    def _until_told(self, rng: random.Random, conversation: str, message: str) -> None:
        sent_at, prefer, failed = time.monotonic(), rng.choice(self._prefer), None
        while True:
            server = rng.choice(self._servers)
            try:
                answer = server.chat(message, conversation, idempotency_key=message, prefer=prefer)
            except (OSError, ValueError) as error:
                self.asked_again.append(error)
                time.sleep(AGAIN_S)
                continue
            if answer.status in (200, 202):
                told = answer.json
                number, reply, at = told.get("turn"), told.get("response"), time.monotonic()
                self.told.append(
                    Told(message, conversation, told["turn_id"], number, reply, sent_at, at)
                )
                return
            turn_id = answer.json.get("turn_id")
            if answer.status != 503 or (turn_id is not None and turn_id == failed):
                self.failed[message] = answer  # For good: its key gives it again.
                return
            failed = turn_id if answer.json["outcome"] == "rolled_back" else None
            self.asked_again.append(answer)
            time.sleep(AGAIN_S)


def faults_of_order(told: Sequence[Told]) -> Iterator[str]:
    """Turns of one conversation that were told before an earlier one was even sent."""
    line = sorted((one for one in told if one.number is not None), key=lambda one: one.number or 0)
    soonest = list(accumulate((one.told_at for one in reversed(line)), min))[::-1]
    for one, at in zip(line, soonest, strict=True):
        if at < one.sent_at:
            yield f"turn {one.number} was sent after a later one was told"

"""kill -9 at random phases: what was accepted has one outcome, and nothing ran twice unmarked."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter, defaultdict
from contextlib import suppress
from pathlib import Path

from tests.support.client import until
from tests.support.server import Server

CONVERSATIONS = ("a", "b", "c")


class Clients:
    """One for each conversation: sends messages, each under a key, again until it is told."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._done = threading.Event()
        self.accepted: dict[str, str] = {}
        self.answered: dict[str, int] = {}
        self._threads = [
            threading.Thread(target=self._send, args=(name,), daemon=True) for name in CONVERSATIONS
        ]
        for thread in self._threads:
            thread.start()

    def finish(self) -> None:
        self._done.set()
        for thread in self._threads:
            thread.join(60)

    def _send(self, conversation: str) -> None:
        rng = random.Random(conversation)
        number = 0
        while not self._done.is_set():
            self._until_told(rng, conversation, number)
            number += 1
            time.sleep(rng.choice((0, 0.01, 0.05)))

    def _until_told(self, rng: random.Random, conversation: str, number: int) -> None:
        message = f"sleep {rng.choice(('0', '0.01', '0.05'))} {conversation}{number}"
        prefer = rng.choice(("respond-async", "respond-async", "wait=1", "x"))
        while True:
            with suppress(OSError, ConnectionError):
                answer = self._server.chat(
                    message, conversation, idempotency_key=message, prefer=prefer
                )
                if answer.status in (200, 202):
                    self.accepted[message] = answer.json["turn_id"]
                    if answer.status == 200:
                        self.answered[message] = answer.json["turn"]
                    return
            time.sleep(0.02)


def test_every_accepted_turn_has_one_outcome_however_often_its_server_is_killed(
    folder: Path, http: str
) -> None:
    """I-2, I-3, I-8, I-18, I-19"""
    # What a kill may tear, the service and its store, is the same over each HTTP server.
    kills = 200 if http == "hypercorn" else 50
    rng = random.Random(kills)
    target = "tests.support.agents:counting_attempts"
    knobs = {"store__url": "sqlite:///x.db", "store__max_attempts": 100}
    with Server(folder, target=target, **knobs) as server:
        clients = Clients(server)
        for _ in range(kills):
            time.sleep(rng.random() * 0.4)
            server.start()  # Which kills the one before.
        until(lambda: len(clients.accepted) > 10, "more than ten turns are accepted")
        clients.finish()
        server.until_quiet()
        _check(server, clients)


def _check(server: Server, clients: Clients) -> None:
    kept = Counter(
        said["content"]
        for conversation in CONVERSATIONS
        for said in server.history(conversation)[::2]
    )
    assert set(kept.values()) == {1}, "a turn is in the history twice"
    for message, turn_id in clients.accepted.items():
        turn = server.turn(turn_id)
        assert turn["state"] == "answered", (message, turn)
        assert kept[message] == 1
        assert clients.answered.get(message, turn["turn"]) == turn["turn"]
    attempts: dict[str, list[int]] = defaultdict(list)
    ids: dict[str, set[str]] = defaultdict(set)
    for line in server.calls():
        event, *words, turn_id, attempt = line.split()
        if event == "began":
            attempts[turn_id].append(int(attempt))
            ids[" ".join(words)].add(turn_id)
    for turn_id, seen in attempts.items():
        assert seen == sorted(set(seen)), f"{turn_id} ran twice as the same attempt: {seen}"
    for message, turn_ids in ids.items():
        assert len(turn_ids) == 1, f"{message} ran as several turns"
    for conversation in CONVERSATIONS:
        order = [
            int(said["content"].split(conversation)[-1])
            for said in server.history(conversation)[::2]
        ]
        assert order == sorted(order), "turns changed places"

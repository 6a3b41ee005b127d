"""SIGKILL, and a second process on the same store: I-2, I-3, I-18 and I-24."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import threading
from pathlib import Path

from loadtests.measures.chains import check_chain
from tests.support.client import PATIENCE_S, until
from tests.support.server import ROOT, Server

CONVERSATIONS = 4


def test_a_killed_server_has_kept_every_turn_that_it_answered(folder: Path) -> None:
    _kill_and_check(folder, kills=5, seed=1)


def test_a_server_killed_25_times_has_kept_every_turn_that_it_answered(folder: Path) -> None:
    _kill_and_check(folder, kills=25, seed=2)


def _kill_and_check(folder: Path, kills: int, seed: int) -> None:
    chance = random.Random(seed)
    answered: dict[str, dict[int, tuple[str, str]]] = {f"c{n}": {} for n in range(CONVERSATIONS)}
    server = Server(folder, target="chain")
    for _ in range(kills):
        with server:
            threads = [
                threading.Thread(target=_talk, args=(server, name, replies))
                for name, replies in answered.items()
            ]
            for thread in threads:
                thread.start()
            _until_answered(answered, more=2)
            threading.Event().wait(chance.uniform(0.0, 0.25))
            server.signal(signal.SIGKILL)
            for thread in threads:
                thread.join()
    with server:
        for name, replies in answered.items():
            history = server.history(name)
            assert check_chain(history) == []
            for number, (message, reply) in replies.items():
                kept = [said["content"] for said in history[2 * number - 2 : 2 * number]]
                assert kept == [message, reply], f"turn {number} of {name}"
    assert sum(map(len, answered.values())) > kills


def _until_answered(answered: dict[str, dict[int, tuple[str, str]]], more: int) -> None:
    enough = sum(map(len, answered.values())) + more
    until(lambda: sum(map(len, answered.values())) >= enough, f"{more} more are answered")


def _talk(server: Server, conversation: str, replies: dict[int, tuple[str, str]]) -> None:
    for number in range(10_000):
        message = f"{number} {random.random()}"
        try:
            answer = server.chat(message, conversation)
        except OSError:
            return
        if answer.status == 200:
            assert answer.json["turn"] not in replies
            replies[answer.json["turn"]] = (message, answer.json["response"])
            assert json.loads(answer.json["response"])["turn"] == answer.json["turn"]


def test_a_second_process_on_one_store_is_refused(folder: Path) -> None:
    """I-24."""
    with Server(folder) as server:
        second = subprocess.run(
            [sys.executable, "-m", "runner", "serve", "eliza", "--port", "0"],
            cwd=folder,
            env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
        )
        assert second.returncode == 1
        assert "runner.db" in second.stderr
        assert server.chat("still here").status == 200

"""Five messages at once to a real model: `make demo-llm`.

SmolLM2 runs in this machine's own memory through llama.cpp. Its context is as
stateful as an agent can be: two threads in it at once abort the process. The
same five messages go to a server under each strategy, and under none.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from subprocess import TimeoutExpired
from threading import Thread

from loadtests.runs.servers import Served, running

QUESTIONS = (
    "My name is Ada. Say hello.",
    "What is the capital of France?",
    "Name one colour of the rainbow.",
    "What is two plus two?",
    "Say goodbye.",
)
STRATEGIES = ("loadtests.controls.unprotected:Unprotected", "queue", "lock", "reject")
LIMIT_S = 240.0


@dataclass
class Asked:
    """One message and what came of it."""

    message: str
    outcome: str = "no answer"
    turn: int = 0
    took_s: float = 0.0


def main() -> int:
    """Exit status 1 where a strategy broke its promise; the control promises nothing."""
    print("SmolLM2-135M through llama.cpp: one turn alone, then five messages at once.")
    kept = {strategy: show(strategy) for strategy in STRATEGIES}
    expected = {"queue": 5, "lock": 5, "reject": 1}
    return 0 if all(kept[name] == turns for name, turns in expected.items()) else 1


def show(strategy: str) -> int | None:
    """Ask under one strategy; how many of the five are in the history, None where it is gone."""
    print(f"\n== {strategy}")
    arguments = ("runner", "serve", "smollm", "--strategy", strategy, "--port", "0")
    with tempfile.TemporaryDirectory() as folder:
        options = (*arguments, "--store", "memory:", "--log", "json")
        with running(options, Path(folder)) as served:
            warm_up(served)
            asked = ask_all(served, QUESTIONS)
            for one in sorted(asked, key=lambda one: (one.turn == 0, one.turn)):
                place = f"turn {one.turn}" if one.turn else ""
                print(f"  {place:6}  {one.took_s:5.1f} s  {one.message:32} {one.outcome}")
            print(f"  The server {fate(served)}. {words(turns := count_kept(served))}")
            return turns


def warm_up(served: Served) -> None:
    """One turn alone: it loads the weights, so that all five meet in the same context."""
    ask(served, Asked("Hello."))


def ask_all(served: Served, messages: Sequence[str]) -> list[Asked]:
    asked = [Asked(message) for message in messages]
    threads = [Thread(target=ask, args=(served, one)) for one in asked]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return asked


def ask(served: Served, one: Asked) -> None:
    began = time.monotonic()
    connection = HTTPConnection("127.0.0.1", served.port, timeout=LIMIT_S)
    body = json.dumps({"message": one.message})
    try:
        connection.request("POST", "/chat", body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        content = json.loads(response.read())
    except (OSError, HTTPException) as error:
        one.outcome = f"connection lost ({type(error).__name__})"
    else:
        text = content.get("response") or content.get("title")
        one.outcome = f"{response.status}: {' '.join(text.split())[:60]}"
        one.turn = content.get("turn", 0)
    finally:
        one.took_s = time.monotonic() - began
        connection.close()


def fate(served: Served) -> str:
    try:
        status = served.process.wait(2.0)
    except TimeoutExpired:
        return "is still there"
    return f"died of signal {-status}" if status < 0 else f"ended with status {status}"


def count_kept(served: Served) -> int | None:
    connection = HTTPConnection("127.0.0.1", served.port, timeout=5.0)
    try:
        connection.request("GET", "/history?count=0")
        messages = json.loads(connection.getresponse().read())["messages"]
        return len(messages) // 2 - 1
    except (OSError, HTTPException):
        return None
    finally:
        connection.close()


def words(turns: int | None) -> str:
    if turns is None:
        return "Its history, which was in memory, is gone with it."
    return f"Of the five turns, {turns} are in its history."


if __name__ == "__main__":
    sys.exit(main())

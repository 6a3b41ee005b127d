"""Five messages at once to a real model: `make demo-llm`.

SmolLM2 runs in this machine's own memory through llama.cpp. Its context is as
stateful as an agent can be: two threads in it at once abort the process. The
same five messages go to a server under each strategy, and under none.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from subprocess import TimeoutExpired
from threading import Thread

from loadtests.servers import Served, running

QUESTIONS = (
    "My name is Ada. Say hello.",
    "What is the capital of France?",
    "Name one colour of the rainbow.",
    "What is two plus two?",
    "Say goodbye.",
)
STRATEGIES = ("loadtests.unprotected:Unprotected", "queue", "lock", "reject")
LIMIT_S = 240.0


@dataclass
class Asked:
    """One message and what came of it."""

    message: str
    outcome: str = "no answer"
    turn: int = 0
    took_s: float = 0.0


def main() -> None:
    print("SmolLM2-135M through llama.cpp: one turn alone, then five messages at once.")
    for strategy in STRATEGIES:
        show(strategy)


def show(strategy: str) -> None:
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
            print(f"  The server {fate(served)}. {kept(served)}")


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


def kept(served: Served) -> str:
    connection = HTTPConnection("127.0.0.1", served.port, timeout=5.0)
    try:
        connection.request("GET", "/history?count=0")
        messages = json.loads(connection.getresponse().read())["messages"]
        return f"Of the five turns, {len(messages) // 2 - 1} are in its history."
    except (OSError, HTTPException):
        return "Its history, which was in memory, is gone with it."
    finally:
        connection.close()


if __name__ == "__main__":
    main()

"""What an agent needs a person for, asked at the terminal or read from the pipe."""

from __future__ import annotations

import json
import sys
from typing import Any

from runner.cli.client import Content

YES, NO = ("y", "yes"), ("n", "no")


def resume(requests: list[Content]) -> Content:
    """The body that answers them; at the end of the input it drops them."""
    answers: dict[str, Any] = {}
    for request in requests:
        try:
            answers[str(request.get("id"))] = _answer(request)
        except (EOFError, KeyboardInterrupt):
            print(file=sys.stderr)
            return {"resume": "cancel"}
    return {"resume": answers}


def _answer(request: Content) -> Content:
    if request.get("kind") != "approval":
        text = _ask(f"{request.get('prompt') or 'The agent asks'} [your answer]")
        return {"approve": True, "value": text}
    what = printable(str(request.get("prompt") or "Allow"))
    if request.get("name"):
        arguments = json.dumps(request.get("arguments", {}), ensure_ascii=False)
        what = f"{what} {printable(str(request['name']))}({printable(arguments)})"
    while True:
        said = _ask(f"{what} [y/n]").lower()
        if said in YES + NO:
            return {"approve": said in YES}
        print("Answer y or n; Ctrl-C drops the request.", file=sys.stderr)


def _ask(question: str) -> str:
    # On stderr, so that a pipe's output is the replies alone.
    print(f"{printable(question)} ", end="", file=sys.stderr, flush=True)
    line = input().strip()
    if not sys.stdin.isatty():
        print(file=sys.stderr)
    return line


def printable(text: str) -> str:
    """What an agent says must not move the cursor or rename the window."""
    return "".join(c if c.isprintable() or c in "\n\t" else repr(c)[1:-1] for c in text)

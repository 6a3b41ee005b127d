"""What an agent needs a person for, asked at the terminal or read from the pipe."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Literal

from runner.client.shapes import Answer, Request

YES, NO = ("y", "yes"), ("n", "no")


def resume(requests: Sequence[Request]) -> Mapping[str, Answer] | Literal["cancel"]:
    """What answers them; at the end of the input it drops them."""
    answers: dict[str, Answer] = {}
    for request in requests:
        try:
            answers[request.id] = _answer(request)
        except (EOFError, KeyboardInterrupt):
            print(file=sys.stderr)
            return "cancel"
    return answers


def _answer(request: Request) -> Answer:
    if request.kind != "approval":
        return Answer(value=_ask(f"{request.prompt or 'The agent asks'} [your answer]"))
    what = printable(request.prompt or "Allow")
    if request.name:
        no_arguments: dict[str, object] = {}
        given = no_arguments if request.arguments is None else request.arguments
        arguments = json.dumps(given, ensure_ascii=False)
        what = f"{what} {printable(request.name)}({printable(arguments)})"
    while True:
        said = _ask(f"{what} [y/n]").lower()
        if said in YES + NO:
            return Answer(said in YES)
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

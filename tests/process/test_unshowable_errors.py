"""An error that cannot be put into words is an error of the agent's like any other."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.server import Server

AGENT = """
class Silent(Exception):
    def __repr__(self):
        raise SystemExit(3)
    __str__ = __repr__

class Loud(Exception):
    def __repr__(self):
        return "x" * 5_000_000
    __str__ = __repr__

async def agent(message, history):
    if message == "silent":
        raise Silent
    if message == "loud":
        raise Loud
    if message == "wrong line":
        error = SyntaxError("x")
        error.lineno, error.text = "a", 7
        raise error
    if message == "deep":
        error = ValueError()
        for _ in range(5000):
            error = ExceptionGroup("g", [error])
        raise error
    return message
"""


@pytest.mark.parametrize("exposed", [False, True])
def test_an_error_that_cannot_be_shown_answers_502(folder: Path, exposed: bool) -> None:
    (folder / "unshowable.py").write_text(AGENT)
    with Server(folder, target="unshowable:agent", agent__expose_agent_errors=exposed) as server:
        for message in ("silent", "loud", "wrong line", "deep"):
            failed = server.chat(message)
            assert (failed.status, failed.cause) == (502, "agent-failed"), message
            assert failed.json["outcome"] == "rolled_back"
            assert len(failed.body) < 100_000
        assert server.chat("next").status == 200
    for line in server.log.splitlines():
        json.loads(line)

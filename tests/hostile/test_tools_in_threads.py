"""Frameworks run tools that are plain functions in asyncio's threads, which nobody can stop."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from tests.support.client import together
from tests.support.server import Server

TOOLS = """
import asyncio, time

def tool(name):
    if name == "hang":
        time.sleep(600)
    if name == "stop":
        raise StopIteration
    if name == "exit":
        raise GeneratorExit
    return name

async def agent(message):
    try:
        return await asyncio.to_thread(tool, message)
    except Exception as error:
        return str(error)
"""


@pytest.fixture
def served(folder: Path) -> Server:
    (folder / "tools.py").write_text(TOOLS)
    return Server(folder, target="tools:agent", strategy__max_running=64)


def test_tools_that_hang_hold_up_no_other_conversation(served: Server) -> None:
    """I-29"""
    with served as server:
        in_time = {"turn-deadline-ms": "1000"}
        hangs = [{"message": "hang", "conversation_id": f"hung-{one}"} for one in range(40)]
        answers = together(
            partial(server.request, "POST", "/chat", content, in_time) for content in hangs
        )
        assert {answer.status for answer in answers} == {504}
        content = {"message": "works", "conversation_id": "other"}
        answer = server.request("POST", "/chat", content, {"turn-deadline-ms": "10000"})
        assert (answer.status, answer.json.get("response")) == (200, "works")


@pytest.mark.parametrize("word", ["stop", "exit"])
def test_what_no_coroutine_can_be_given_is_raised_as_an_exception(
    served: Server, word: str
) -> None:
    """I-12"""
    with served as server:
        answer = server.request("POST", "/chat", {"message": word}, {"turn-deadline-ms": "10000"})
        assert answer.status == 200
        assert "a function in a thread raised" in answer.json["response"]

"""What was answered, kept or logged, and was not so."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest

from tests.support.client import chat, receive, send, until
from tests.support.server import Server


@pytest.mark.parametrize("end", ["at the deadline", "by a second signal"])
def test_a_turn_that_the_shutdown_cuts_off_is_told_and_logged_as_rolled_back(
    folder: Path, end: str
) -> None:
    with Server(folder, server__drain_s=0.2 if end == "at the deadline" else 600) as server:
        with send(server.port, chat("hang")) as connection:
            server.until_called("hang")
            server.signal(signal.SIGTERM)
            if end == "by a second signal":
                until(lambda: server.request("GET", "/health/ready").status == 503, "it drains")
                server.signal(signal.SIGTERM)
            answer = receive(connection)
        assert (answer.cause, answer.json["outcome"]) == ("draining", "rolled_back")
        assert "shut down before the turn had ended" in answer.json["detail"]
        assert server.wait() == 0
        (ended,) = the_turns(server)
        assert (ended["outcome"], ended["turn_outcome"]) == ("interrupted", "rolled_back")


def test_a_keyed_turn_that_the_shutdown_cuts_off_is_kept_as_rolled_back(folder: Path) -> None:
    with Server(folder, server__drain_s=0.2, store__on_restart="fail") as server:
        with send(server.port, chat("hang", idempotency_key="once")) as connection:
            server.until_called("hang")
            turn_id = server.turn_of("default")["turn_id"]
            server.signal(signal.SIGTERM)
            assert receive(connection).json["outcome"] == "rolled_back"
        assert server.wait() == 0
        assert server.start().turn(turn_id)["state"] == "interrupted"
        shown = server.turn(turn_id)
        assert (shown["outcome"], shown["problem"]["status"]) == ("rolled_back", 503)


def test_a_turn_that_waited_when_the_shutdown_came_is_logged_as_not_started(folder: Path) -> None:
    with Server(folder, server__drain_s=0.2) as server:
        with send(server.port, chat("hang")), send(server.port, chat("waits")) as waiting:
            server.until_called("hang")
            server.until_depth(1)
            server.signal(signal.SIGTERM)
            assert receive(waiting).json["outcome"] == "not_started"
        assert server.wait() == 0
        waited, _ = the_turns(server)
        assert (waited["outcome"], waited["turn_outcome"]) == ("refused", "not_started")


def the_turns(server: Server) -> list[dict[str, Any]]:
    """The log lines of the turns that have ended."""
    return [line for line in server.logged if line.get("event") == "turn ended"]

"""The outermost layer: tokens, cross-origin requests, HTTP/2, and what `/health` counts."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.client import Answer, chat, receive, send
from tests.support.server import Server

TOKENS = ["first-token", "second-token"]
ORIGIN = "https://page.example"


@pytest.fixture(scope="module")
def guarded(http: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(
        tmp_path_factory.mktemp("guarded"), server__tokens=TOKENS, server__cors_origins=[ORIGIN]
    ) as running:
        yield running


Ask = Callable[[dict[str, str]], Answer]


@pytest.fixture(params=["/chat", "/history", "/health"])
def ask(request: pytest.FixtureRequest, guarded: Server) -> Ask:
    path = request.param
    if path == "/chat":
        return lambda headers: guarded.request("POST", path, {"message": "hello"}, headers)
    return lambda headers: guarded.request("GET", path, None, headers)


@pytest.mark.parametrize("token", TOKENS)
def test_each_token_lets_in(ask: Ask, token: str) -> None:
    assert ask({"authorization": f"Bearer {token}"}).status == 200
    assert ask({"authorization": f"bearer  {token}"}).status == 200


@pytest.mark.parametrize(
    "value", [None, "", "Bearer", "Bearer ", "Bearer wrong", "Basic first-token", "first-token"]
)
def test_without_a_valid_token_nothing_is_told(ask: Ask, value: str | None) -> None:
    answer = ask({} if value is None else {"authorization": value})
    assert (answer.status, answer.cause) == (401, "unauthorized")
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.json["outcome"] == "not_started"


@pytest.mark.parametrize("path", ["/health/live", "/health/ready"])
def test_probes_need_no_token(guarded: Server, path: str) -> None:
    assert guarded.request("GET", path).status == 200


def test_no_token_is_ever_logged(guarded: Server) -> None:
    guarded.request("GET", "/health", None, {"authorization": "Bearer first-token"})
    assert not any(token in guarded.log + guarded.output for token in TOKENS)


def test_a_page_that_is_allowed_may_ask_first_and_then_read(guarded: Server) -> None:
    asked = guarded.request("OPTIONS", "/chat", None, {"origin": ORIGIN})
    assert asked.status == 204
    assert "authorization" in asked.headers["access-control-allow-headers"]
    answer = guarded.request("GET", "/health", None, {"origin": ORIGIN})
    assert answer.headers["access-control-allow-origin"] == ORIGIN


def test_a_page_that_is_not_allowed_may_not_read(guarded: Server) -> None:
    answer = guarded.request("GET", "/health", None, {"origin": "https://other.example"})
    assert "access-control-allow-origin" not in answer.headers


def test_the_counters_of_health_agree_with_what_happened(tmp_path: Path) -> None:
    """I-9."""
    with Server(tmp_path, strategy__name="reject", agent__turn_timeout_s=0.2) as server:
        with send(server.port, chat("sleep 0.1")) as running:
            server.until_called("sleep 0.1")
            assert server.chat("refused").status == 409
            assert receive(running).status == 200
        assert server.chat("raise Exception").status == 502
        assert server.chat("hang").status == 504
        assert server.health()["turns"] == {
            "accepted": 3,
            "refused_at_once": 1,
            "answered": 1,
            "failed": 1,
            "expired": 1,
        }


def test_the_log_has_one_line_for_each_turn_and_never_its_text(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        turn_id = server.chat("a message of mine").json["turn_id"]
        server.stop()
        lines = [line for line in server.logged if line.get("turn_id") == turn_id]
        assert len(lines) == 1
        assert (lines[0]["outcome"], lines[0]["strategy"]) == ("answered", "queue")
        assert {"waited_ms", "ran_ms", "conversation_id"} <= lines[0].keys()
        assert "a message of mine" not in server.log


def test_history_is_the_last_message_unless_a_count_is_given(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        for message in ("one", "two"):
            server.chat(message)
        assert len(server.request("GET", "/history").json["messages"]) == 1
        assert len(server.request("GET", "/history?count=3").json["messages"]) == 3
        whole = server.request("GET", "/history?count=0").json["messages"]
        assert [said["role"] for said in whole] == ["user", "assistant"] * 2


def test_the_fields_of_the_original_container_are_all_there(tmp_path: Path) -> None:
    with Server(tmp_path, "--agent-id", "mine") as server:
        reply = server.chat("hello").json
        assert (reply["status"], reply["agent_id"]) == ("success", "mine")
        assert json.loads(reply["response"])["echo"] == "hello"
        health = server.health()
        assert (health["status"], health["agent_id"]) == ("healthy", "mine")
        assert (health["processing"], health["queue_depth"]) == (False, 0)


def test_a_clients_second_turn_on_one_connection_is_served(tmp_path: Path) -> None:
    with Server(tmp_path) as server, send(server.port, b"") as connection:
        for turn in (1, 2, 3):
            connection.sendall(chat("hello"))
            assert receive(connection).json["turn"] == turn


def test_an_address_in_use_is_said_and_ends_with_1(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        server = Server(tmp_path)
        server.port = taken.getsockname()[1]
        with pytest.raises(AssertionError, match="in use"):
            server.start()

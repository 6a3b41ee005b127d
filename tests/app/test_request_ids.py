"""What ties a request to its lines: its id, the access log, and the lines of its turn."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.client import until
from tests.support.events import Stream
from tests.support.server import Server

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACEPARENT = f"00-{TRACE}-00f067aa0ba902b7-01"


@pytest.fixture(scope="module")
def logging_server(http: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(
        tmp_path_factory.mktemp("logging"),
        target="tests.support.traced:talkative",
        observability__access_log=True,
        server__tokens=["ann:a-token"],
    ) as running:
        yield running


def lines(server: Server, event: str, **known: object) -> list[dict[str, Any]]:
    """The lines of this event in which all of this is said, once there is one."""

    def found() -> list[dict[str, Any]]:
        said = [one for one in server.logged if one.get("event") == event]
        return [one for one in said if known.items() <= one.items()]

    until(lambda: bool(found()), f"{event} is logged")
    return found()


def test_a_request_has_the_id_that_its_client_gave_it(server: Server) -> None:
    assert server.chat("hello", x_request_id="my-id_1.2").headers["x-request-id"] == "my-id_1.2"


@pytest.mark.parametrize("wrong", ["", "a b", "x" * 129, "<script>"])
def test_one_that_is_not_valid_is_replaced(server: Server, wrong: str) -> None:
    own = server.chat("hello", x_request_id=wrong).headers["x-request-id"]
    assert re.fullmatch("[0-9a-f]{16}", own)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/health", 200), ("GET", "/nowhere", 404), ("PUT", "/chat", 405)],
)
def test_every_answer_says_its_id(server: Server, method: str, path: str, status: int) -> None:
    answer = server.request(method, path, headers={"x-request-id": "mine"})
    assert (answer.status, answer.headers["x-request-id"]) == (status, "mine")


def test_the_line_of_a_turn_says_its_request_status_client_and_trace(server: Server) -> None:
    server.chat("hello", x_request_id="of-a-turn", traceparent=TRACEPARENT)
    (said,) = lines(server, "turn ended", request_id="of-a-turn")
    assert (said["status"], said["client"], said["trace_id"]) == (200, "127.0.0.1", TRACE)


def test_the_line_of_a_failed_turn_has_the_status_that_its_client_got(server: Server) -> None:
    answer = server.chat("raise Exception", x_request_id="of-a-failed-turn")
    (said,) = lines(server, "turn ended", request_id="of-a-failed-turn")
    assert said["status"] == answer.status == 502


def test_a_turn_through_another_door_has_its_origin_too(server: Server) -> None:
    asked = {"model": "agent", "messages": [{"role": "user", "content": "hello"}]}
    server.request("POST", "/v1/chat/completions", asked, {"x-request-id": "by-a-door"})
    lines(server, "turn ended", request_id="by-a-door", client="127.0.0.1")


def test_what_an_agent_logs_in_its_threads_says_its_turn(logging_server: Server) -> None:
    named = {"authorization": "Bearer a-token", "x_request_id": "talk", "traceparent": TRACEPARENT}
    turn_id = logging_server.chat("hello", **named).json["turn_id"]
    for event in ("by the standard library", "by structlog"):
        (said,) = lines(logging_server, event, request_id="talk")
        assert (said["turn_id"], said["trace_id"]) == (turn_id, TRACE)


def test_the_access_log_has_a_line_for_each_request_and_no_secret(logging_server: Server) -> None:
    path = "/history?count=1&conversation_id=a-secret"
    headers = {"authorization": "Bearer a-token", "x-request-id": "accessed"}
    answer = logging_server.request("GET", path, headers=headers)
    (said,) = lines(logging_server, "request", request_id="accessed")
    assert (said["method"], said["path"], said["status"]) == ("GET", "/history", 200)
    assert said["bytes"] == len(answer.body)
    assert said["client"] == "ann@127.0.0.1"
    assert said["ms"] >= 0
    assert "a-secret" not in logging_server.log
    assert "a-token" not in logging_server.log


def test_a_stream_is_in_the_access_log_at_its_end(logging_server: Server) -> None:
    port, token = logging_server.port, "Bearer a-token"
    with Stream(port, "hello", authorization=token, x_request_id="streamed") as stream:
        until_done = [event.kind for event in stream]
    assert until_done[-1] == "done"
    (said,) = lines(logging_server, "request", request_id="streamed")
    assert said["status"] == 200
    assert said["bytes"] > len("event: done")


def test_a_stranger_is_in_the_access_log_by_the_address(logging_server: Server) -> None:
    logging_server.request("GET", "/history", headers={"x-request-id": "stranger"})
    (said,) = lines(logging_server, "request", request_id="stranger")
    assert (said["status"], said["client"]) == (401, "127.0.0.1")


def test_without_the_setting_there_is_no_access_log(server: Server) -> None:
    server.chat("hello", x_request_id="not-accessed")
    lines(server, "turn ended", request_id="not-accessed")
    assert not [one for one in server.logged if one.get("event") == "request"]

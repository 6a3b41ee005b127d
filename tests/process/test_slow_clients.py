"""Clients that take their time: I-21, and the cap on connections."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from tests.support.client import chat, receive, send, until
from tests.support.server import Server


def test_slow_headers_are_ended_by_a_limit(folder: Path) -> None:
    with Server(folder, server__header_timeout_s=0.3) as server:
        with send(server.port, b"GET /health HTTP/1.1\r\nhost: te") as slow:
            assert slow.recv(1) == b""


def test_a_slow_body_is_ended_by_a_limit_and_a_408(folder: Path) -> None:
    with Server(folder, server__body_timeout_s=0.3) as server:
        with send(server.port, chat("slow")[:-3]) as slow:
            answer = receive(slow)
            assert (answer.status, answer.cause) == (408, "body-timeout")
            assert slow.recv(1) == b"", "the connection is closed"
        assert server.calls() == []


def test_connections_past_the_cap_are_told_so_and_the_others_served(folder: Path) -> None:
    with Server(folder, server__max_connections=5) as server, ExitStack() as stack:
        for _ in range(5):
            open_one = stack.enter_context(send(server.port, chat("hello")))
            assert receive(open_one).status == 200
        with send(server.port, b"") as one_too_many:
            answer = receive(one_too_many)
        assert (answer.status, answer.cause) == (503, "server-full")
        assert answer.json["outcome"] == "not_started"
        stack.close()
        until(lambda: _served(server), "there is room again")


def _served(server: Server) -> bool:
    try:
        return server.chat("hello").status == 200
    except OSError:
        return False


def test_a_connection_that_its_client_closed_is_closed_here_too_at_once(folder: Path) -> None:
    """I-25: well before the limit on idle connections."""
    with Server(folder, server__header_timeout_s=600) as server:
        server.chat("warm up")
        files = server.process.num_fds()
        for _ in range(30):
            server.chat("hello")
        until(lambda: server.process.num_fds() <= files + 1, "descriptors are back to base")


def test_500_slow_clients_keep_nobody_from_being_served(folder: Path) -> None:
    with Server(folder, server__header_timeout_s=2, server__body_timeout_s=2) as server:
        files = server.process.num_fds()
        with ExitStack() as stack:
            for number in range(500):
                part = chat("slow")[:-3] if number % 2 else b"POST /chat HT"
                stack.enter_context(send(server.port, part))
            for number in range(50):
                assert server.chat(f"quick {number}").status == 200
            until(lambda: server.process.num_fds() <= files + 2, "all slow ones were ended")

"""No client holds a connection, the port or a place for longer than it uses it."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.support import client
from tests.support.server import Server

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

FORKING = """
import os, time

async def agent(message, history):
    child = os.fork()
    if child == 0:
        os.closerange(0, 3)
        time.sleep(60)
        os._exit(0)
    return str(child)
"""


def test_a_client_that_begins_http_2_and_then_says_nothing_is_closed(folder: Path) -> None:
    with Server(folder, server__header_timeout_s=0.5) as server:
        with client.send(server.port, PREFACE + b"\0\0\0\4\0\0\0\0\0") as connection:
            connection.settimeout(5)
            while connection.recv(4096):
                pass
        assert server.health()["status"] == "healthy"


def test_an_offer_of_http_2_is_not_taken_up(folder: Path) -> None:
    with Server(folder) as server:
        upgrade = {"connection": "upgrade, http2-settings", "upgrade": "h2c", "http2-settings": ""}
        assert server.request("GET", "/health", headers=upgrade).status == 200


def test_a_client_that_breaks_off_a_stream_with_a_request_behind_it_leaves_nothing(
    folder: Path,
) -> None:
    """I-25: a task that stayed behind would be named by asyncio when the server ends."""
    with Server(folder) as server:
        stream = client.chat("sleep 0.05", accept="text/event-stream")
        for _ in range(20):
            with client.send(server.port, stream + client.encode("GET", "/health")) as connection:
                connection.recv(1)
                client.reset(connection)
        server.until_quiet()
        assert server.stop() == 0
        assert "Traceback" not in server.log


def test_a_request_after_an_offer_of_http_2_is_answered_too(folder: Path) -> None:
    with Server(folder) as server:
        upgrade = {"connection": "upgrade, http2-settings", "upgrade": "h2c", "http2-settings": ""}
        both = client.encode("GET", "/health", headers=upgrade) + client.encode("GET", "/nothing")
        with client.send(server.port, both) as connection, connection.makefile("rb") as stream:
            assert [client.read(stream).status for _ in range(2)] == [200, 404]


def test_pipelined_requests_are_answered_in_order_and_one_that_is_no_http_after_them(
    folder: Path,
) -> None:
    with Server(folder) as server:
        turns = b"".join(client.chat(f"sleep 0.1 {number}") for number in range(3))
        with client.send(server.port, turns + b"junk\r\n\r\n") as connection:
            with connection.makefile("rb") as stream:
                assert [client.read(stream).json["turn"] for _ in range(3)] == [1, 2, 3]
                rest = stream.read()
        assert rest == b"" or rest.startswith(b"HTTP/1.1 400 ")


def test_a_client_that_pipelines_without_end_is_not_read_without_end(folder: Path) -> None:
    with Server(folder) as server:
        server.chat("warm up")
        before = server.process.memory_info().rss
        with client.send(server.port, client.chat("sleep 3")) as connection:
            connection.settimeout(0.5)
            with pytest.raises(TimeoutError):
                connection.sendall(client.encode("GET", "/health") * 1_000_000)
            assert server.process.memory_info().rss - before < 8_000_000


def test_a_head_without_end_is_not_read_without_end(folder: Path) -> None:
    with Server(folder, server__header_timeout_s=600) as server:
        before = server.process.memory_info().rss
        with client.send(server.port, b"GET / HTTP/1.1\r\nhost: localhost\r\nx: ") as connection:
            with pytest.raises(ConnectionError):
                connection.sendall(b"y" * 64_000_000)
            assert server.process.memory_info().rss - before < 8_000_000


def test_pipelined_turns_whose_client_left_never_reach_the_agent(folder: Path) -> None:
    with Server(folder) as server:
        turns = client.chat("until gone") + b"".join(client.chat(f"after {n}") for n in range(4))
        connection = client.send(server.port, turns)
        port = connection.getsockname()[1]
        server.until_called("until gone")
        client.reset(connection)
        server.until_closed(port)
        server.let_on("gone")
        server.until_quiet()
        assert server.chat("last in the line").status == 200
        assert not [call for call in server.calls() if call.startswith("began after")]
        assert not [line for line in server.logged if line.get("level") == "error"]


def test_a_child_that_an_agent_forked_keeps_neither_the_port_nor_the_store(folder: Path) -> None:
    (folder / "forking.py").write_text(FORKING)
    with Server(folder, target="forking:agent", store__url="sqlite:///x.db") as server:
        child = int(server.chat("fork").json["response"])
        try:
            server.kill()
            server.start()
            assert server.health()["status"] == "healthy"
        finally:
            os.kill(child, signal.SIGKILL)


def test_a_store_whose_file_was_deleted_acknowledges_nothing(folder: Path) -> None:
    with Server(folder, store__url="sqlite:///x.db") as server:
        assert server.chat("kept").status == 200
        (folder / "x.db").unlink()
        refused = server.chat("lost")
        assert (refused.status, refused.cause) == (503, "store-unavailable")


def test_a_body_in_many_small_chunks_weighs_little_more_than_a_whole_one(folder: Path) -> None:
    with Server(folder, server__body_timeout_s=600) as server:
        before = server.process.memory_info().rss
        head = {"content-type": "application/json", "transfer-encoding": "chunked"}
        with client.connect(server.port) as connection:
            connection.sendall(client.encode("POST", "/chat", None, head))
            connection.sendall(b"2\r\naa\r\n" * 200_000)
            connection.sendall(b"0\r\n\r\n")
            assert client.receive(connection).status == 400
        assert server.heaviest - before < 4_000_000  # An object for each chunk would be over 8.

"""Outage and memory without a token: what a stranger can do is bounded in time and number. I-30."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from select import select

import pytest

from tests.support.caller import Caller
from tests.support.client import LIMIT_S, Answer, chat, encode, receive, send, until
from tests.support.server import Knobs, Server

WEBSOCKET = {"connection": "Upgrade", "upgrade": "websocket", "sec-websocket-version": "13"}
KEY = {"sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ=="}
MIB = 1_048_576


@pytest.fixture(scope="module")
def guarded(http: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("guarded")
    tokens = ["ann:ann-token", "bob:bob-token"]
    with Server(folder, server__tokens=tokens, server__max_bodies_bytes=8 * MIB) as running:
        yield running


@pytest.mark.parametrize("more", [{}, KEY], ids=["without a key", "with a key"])
@pytest.mark.parametrize("path", ["/health", "/health/live", "/chat", "/nothing"])
def test_an_offer_of_websocket_is_refused_with_a_document_and_closed(
    server: Server, path: str, more: dict[str, str]
) -> None:
    with send(server.port, encode("GET", path, None, {**WEBSOCKET, **more})) as connection:
        check(receive(connection), 400, "malformed-request")
        assert connection.recv(1) == b""


def test_as_many_offers_of_websocket_as_there_may_be_connections_leave_room(folder: Path) -> None:
    with Server(folder, server__max_connections=8) as server, ExitStack() as stack:
        for _ in range(24):
            offer = encode("GET", "/health", None, WEBSOCKET)
            check(receive(stack.enter_context(send(server.port, offer))), 400, "malformed-request")
        assert server.health()["status"] == "healthy"
        assert is_calm(server)


def test_any_other_offer_to_upgrade_is_a_plain_request(server: Server) -> None:
    offer = {"connection": "upgrade", "upgrade": "TLS/1.0, other/2"}
    assert server.request("GET", "/health/live", None, offer).status == 200


def test_the_body_of_a_request_with_an_offer_is_its_own_and_no_further_request(
    folder: Path,
) -> None:
    """Taken for the next request, it would be one that a proxy has not seen."""
    offer = {"connection": "upgrade", "upgrade": "h2c"}
    inside = encode("POST", "/chat", {"message": "smuggled"})
    outer = encode("POST", "/chat", b" " * 10 + inside, offer)
    with Server(folder) as server:
        for parts in (1, 2, 40):
            size = -(-len(outer) // parts)
            with send(server.port, b"") as connection:
                for start in range(0, len(outer), size):
                    connection.sendall(outer[start : start + size])
                check(receive(connection), 400, "malformed-json")
                connection.sendall(encode("GET", "/health/live"))
                assert receive(connection).json["status"] == "alive"
        assert server.calls() == []
        answer = server.request("POST", "/chat", {"message": "hello"}, offer)
        assert (answer.status, answer.json["status"]) == (200, "success")


def test_keep_alive_over_http_1_0_is_answered(server: Server) -> None:
    with send(server.port, b"GET /health/live HTTP/1.0\r\nconnection: keep-alive\r\n\r\n") as old:
        assert receive(old).status == 200


# Bodies.


def unfinished(size: int, path: str = "/chat", method: str = "POST", **headers: str) -> bytes:
    """A request whose body lacks its last byte."""
    named = {"content-type": "application/json", "content-length": str(size + 1), **headers}
    return encode(method, path, None, named) + b" " * size


@pytest.mark.parametrize("path", ["/chat", "/nothing", "/health"])
def test_a_stranger_is_answered_before_its_body_and_closed(guarded: Server, path: str) -> None:
    with send(guarded.port, unfinished(1_000, path)) as stranger:
        answer = receive(stranger)
        check(answer, 401, "unauthorized")
        assert answer.headers["connection"] == "close"
        assert stranger.recv(1) == b""


@pytest.mark.parametrize("coding", ["content-length", "transfer-encoding"])
def test_a_stranger_that_sends_its_whole_body_first_is_told_why_it_was_for_nothing(
    guarded: Server, coding: str
) -> None:
    body = b" " * (32 * MIB)
    value, sent = str(len(body)), body
    if coding == "transfer-encoding":
        value, sent = "chunked", b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    with send(guarded.port, encode("POST", "/chat", None, {coding: value})) as stranger:
        stranger.sendall(sent)
        check(receive(stranger), 401, "unauthorized")
        assert stranger.recv(1) == b""


def test_a_stranger_that_waits_for_100_is_answered_without_its_body(guarded: Server) -> None:
    head = encode("POST", "/chat", None, {"content-length": "1000", "expect": "100-continue"})
    with send(guarded.port, head) as stranger, stranger.makefile("rb") as stream:
        line = stream.readline()
        while line.startswith((b"HTTP/1.1 100", b"\r\n", b"date:")):  # Hypercorn says it itself.
            line = stream.readline()
        assert line.startswith(b"HTTP/1.1 401")


def test_a_stranger_without_a_body_keeps_its_connection(guarded: Server) -> None:
    with send(guarded.port, encode("GET", "/health")) as connection:
        check(receive(connection), 401, "unauthorized")
        connection.sendall(encode("GET", "/health", None, bearer("ann")))
        assert receive(connection).status == 200


@pytest.mark.parametrize("path", ["/health/live", "/openapi.json", "/docs"])
def test_what_needs_no_token_is_answered_before_a_body_too(guarded: Server, path: str) -> None:
    with send(guarded.port, unfinished(1_000, path, "GET")) as stranger:
        assert receive(stranger).status == 200
        assert stranger.recv(1) == b""


def test_a_connection_is_kept_after_a_body_that_nobody_needed(guarded: Server) -> None:
    with send(guarded.port, encode("GET", "/health/live", {"a": 1})) as connection:
        assert receive(connection).status == 200
        connection.sendall(encode("GET", "/health/live"))
        assert receive(connection).status == 200


def test_300_unfinished_bodies_of_strangers_hold_no_memory(guarded: Server) -> None:
    before = guarded.process.memory_info().rss
    with ExitStack() as stack:
        for _ in range(300):
            stranger = stack.enter_context(send(guarded.port, b""))
            push(stranger, unfinished(MIB - 1))
        # asyncio reads up to 256 KiB of each at once, so one pass over all may take 75 MiB.
        assert guarded.process.memory_info().rss - before < 128 * MIB
        assert guarded.chat("hello", **bearer("ann")).status == 200


def test_300_unfinished_bodies_of_a_caller_hold_no_more_than_its_share(guarded: Server) -> None:
    before = guarded.process.memory_info().rss
    with ExitStack() as stack:
        flood = [stack.enter_context(send(guarded.port, b"")) for _ in range(300)]
        for connection in flood:
            push(connection, unfinished(MIB - 2, **bearer("ann")))
        assert guarded.process.memory_info().rss - before < 128 * MIB  # As above.
        # Any of them: in which order the server reads them is its own affair.
        answered, _, _ = select(flood, [], [], LIMIT_S)
        refused = receive(answered[0])
        check(refused, 503, "server-full")
        assert float(refused.headers["retry-after"]) > 0
        assert guarded.chat("x" * 200_000, **bearer("bob")).status == 200


def test_bodies_that_are_given_up_leave_room_for_the_next(guarded: Server) -> None:
    with ExitStack() as stack:
        for _ in range(30):
            push(stack.enter_context(send(guarded.port, b"")), unfinished(MIB - 2, **bearer("ann")))
    until(lambda: guarded.chat("hello", **bearer("ann")).status == 200, "there is room again")


def test_what_the_turns_of_a_caller_ask_is_bounded_in_bytes_until_they_end(
    guarded: Server,
) -> None:
    """I-29, I-30: a bound on their number would let them hold gigabytes."""
    ann, bob = Caller(guarded, "ann-token"), Caller(guarded, "bob-token")
    long = "x" * 250_000
    ann.chat("until room", "line", prefer="respond-async")
    answers = [ann.chat(long, "line", prefer="respond-async") for _ in range(18)]
    assert [answer.status for answer in answers] == [202] * 16 + [503] * 2
    refused = answers[-1]
    check(refused, 503, "server-full")
    assert refused.headers["turn-outcome"] == "not_started"
    assert int(refused.headers["retry-after"]) > 0
    assert ann.chat("hello", "other").status == 200, "there is room for what is short"
    assert bob.chat(long, "other").status == 200
    turns = ann("GET", "/health").json["turns"]
    guarded.let_on("room")
    until(lambda: ann.chat(long, "other").status == 200, "there is room again")
    assert turns["refused_at_once"] == 2


# Malformed requests.

LABEL = "a" * 64
HOSTS = ["x..", LABEL, f"{LABEL}.example", ".", "", "a b", "[::1", "a:b", "u@localhost", "é", "x/y"]
TARGETS = ["?x", "x:1", "http://[::1", "http://", "#", "http://x..", f"http://{LABEL}/health"]
PATHS = ["/%ff", "/%00", "/%0a", "//nothing", "/%ED%A0%80", "/turns/%ff", "/conversations/%00%ff",
         "/turns/%2e%2e%2f", "/history?count=%ff", "/history?count=" + "9" * 5_000, "/..;/x",
         "/history?conversation_id=%ff", "/conversations?count=%D9%A3", "/\\", "/%"]  # fmt: skip


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("path", ["/health/live", "/nothing"])
def test_a_malformed_host_is_refused_with_a_document(server: Server, host: str, path: str) -> None:
    named = {"host": host.encode().decode("latin1")}
    check(server.request("GET", path, None, named), 400, "malformed-request")
    assert is_calm(server)


@pytest.mark.parametrize("heads", ["", "host: localhost\r\nhost: evil.example\r\n"])
def test_a_request_without_one_host_is_refused_with_a_document(server: Server, heads: str) -> None:
    with send(server.port, f"GET /health/live HTTP/1.1\r\n{heads}\r\n".encode()) as connection:
        check(receive(connection), 400, "malformed-request")


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS", "CONNECT", "OTHER"])
def test_a_malformed_target_is_refused_with_a_document(
    server: Server, method: str, target: str
) -> None:
    check(server.request(method, target), 400, "malformed-request")
    assert is_calm(server)


@pytest.mark.parametrize("path", PATHS)
def test_a_strange_path_is_refused_with_a_document(server: Server, path: str) -> None:
    answer = server.request("GET", path)
    assert 400 <= answer.status < 500
    assert answer.json["outcome"] == "not_started"
    assert is_calm(server)


@pytest.mark.parametrize(
    "target", ["http://localhost/health", "HTTP://localhost:1/health?a=b", "/health?x", "/health?"]
)
def test_a_target_with_its_host_is_the_path_that_it_names(server: Server, target: str) -> None:
    assert server.request("GET", target).json["status"] == "healthy"


def test_the_target_that_stands_for_the_whole_server_is_answered(server: Server) -> None:
    with send(server.port, encode("OPTIONS", "*")) as connection:
        assert connection.recv(12) == b"HTTP/1.1 204"


@pytest.mark.parametrize(
    "junk",
    [b"\x00\x01\x02\r\n\r\n", b"GET\r\n\r\n", b"GET /\xff HTTP/1.1\r\nhost: localhost\r\n\r\n",
     b"GET /health HTTP/1.1\r\nhost: localhost\r\nbad header\r\n\r\n",
     b"POST /chat HTTP/1.1\r\nhost: localhost\r\ncontent-length: -5\r\n\r\n",
     b"POST /chat HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: odd\r\n\r\n",
     b"POST /chat HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n"],
)  # fmt: skip
def test_what_is_not_http_is_answered_with_a_document_and_closed(
    server: Server, junk: bytes
) -> None:
    with send(server.port, junk) as connection:
        answer = receive(connection)
        check(answer, 400, "malformed-request")
        assert answer.headers["connection"] == "close"
        assert connection.recv(1) == b""
    assert is_calm(server)


# Names of other sites.

OWN = ["localhost", "LOCALHOST:8080", "localhost.", "a.localhost", "127.0.0.1", "127.9.9.9:1",
       "[::1]:8080", socket.gethostname()]  # fmt: skip
FOREIGN = ["evil.example", "evil.example:8080", "localhost.evil.example", "127.0.0.1.evil.example",
           "0.0.0.0", "10.0.0.1", "[::2]", "xlocalhost", "metadata.internal"]  # fmt: skip


@pytest.mark.parametrize("name", OWN)
def test_a_name_of_this_machine_is_answered_to(server: Server, name: str) -> None:
    assert server.request("GET", "/health/live", None, {"host": name}).status == 200


@pytest.mark.parametrize("name", FOREIGN)
@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/history"), ("POST", "/chat"), ("OPTIONS", "/chat"), ("GET", "/health/live"),
     ("GET", "/docs"), ("GET", "/nothing"), ("OPTIONS", "*")],
)  # fmt: skip
def test_on_loopback_no_other_name_is_answered_to(
    server: Server, method: str, path: str, name: str
) -> None:
    content = {"message": "hello"} if method == "POST" else None
    answer = server.request(method, path, content, {"host": name, "origin": f"http://{name}"})
    check(answer, 421, "wrong-host")
    assert server.calls() == []


def test_a_target_names_the_host_whatever_the_header_says(server: Server) -> None:
    check(server.request("GET", "http://evil.example/history"), 421, "wrong-host")


def test_names_that_are_allowed_are_answered_to_and_so_are_those_below_a_star(
    folder: Path,
) -> None:
    with Server(folder, server__allowed_hosts=["Chat.example", "*.team.example"]) as server:
        statuses = {
            name: server.request("GET", "/health/live", None, {"host": name}).status
            for name in ("chat.example:1", "CHAT.EXAMPLE", "a.b.team.example", "localhost",
                         "x.chat.example", "team.example", "xteam.example")
        }  # fmt: skip
        assert [*statuses.values()] == [200, 200, 200, 200, 421, 421, 421], statuses


def test_on_other_addresses_any_name_is_answered_to_until_some_are_allowed(folder: Path) -> None:
    for more, status in ({}, 200), ({"server__allowed_hosts": ["chat.example"]}, 421):
        knobs: Knobs = {"server__host": "0.0.0.0", "server__tokens": ["secret"], **more}
        with Server(folder, store__url="memory:", **knobs) as server:
            foreign = server.request("GET", "/health/live", None, {"host": "other.example"})
            assert foreign.status == status
            probe = server.request("GET", "/health/live", None, {"host": "127.0.0.1:8080"})
            assert probe.status == 200, "whoever asks for the address that was connected to"


# What a client may do that few do.
@pytest.mark.parametrize(
    ("request_", "status"),
    [(encode("GET", "/history"), b"200"), (chat("x", prefer="respond-async"), b"202")],
)
def test_a_client_that_closes_its_own_side_is_answered_and_closed(
    folder: Path, request_: bytes, status: bytes
) -> None:
    with Server(folder) as server, send(server.port, request_) as connection:
        connection.shutdown(socket.SHUT_WR)
        with connection.makefile("rb") as stream:
            assert stream.readline().split()[1] == status
            stream.read()
        assert server.health()["requests_in_flight"] == 1
        assert "Traceback" not in server.log


def test_events_are_sent_to_http_1_0_as_they_are(server: Server) -> None:
    asked = chat("hello", accept="text/event-stream").replace(b"HTTP/1.1", b"HTTP/1.0", 1)
    with send(server.port, asked) as connection, connection.makefile("rb") as stream:
        head, _, events = stream.read().partition(b"\r\n\r\n")
    assert b"transfer-encoding" not in head.lower()
    lines = [line for line in events.split(b"\n") if line]
    assert all(line.startswith((b"id:", b"event:", b"data:", b"retry:", b":")) for line in lines)


# What several of these need.


def check(answer: Answer, status: int, cause: str) -> None:
    assert (answer.status, answer.cause) == (status, cause), answer
    assert answer.headers["turn-outcome"] == answer.json["outcome"] == "not_started"
    assert b"Traceback" not in answer.body


def bearer(name: str) -> dict[str, str]:
    return {"authorization": f"Bearer {name}-token"}


def push(connection: socket.socket, data: bytes) -> None:
    """Send, though the server may have answered and closed before it has taken all."""
    with suppress(ConnectionError):
        connection.sendall(data)


def is_calm(server: Server) -> bool:
    """Nothing is in the log but turns that ended well."""
    return all(line.get("level") == "info" for line in server.logged)

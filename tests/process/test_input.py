"""Malformed input: I-20. Every answer is a 4xx that says why, and the agent is never called."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.client import Answer, encode, receive, send
from tests.support.server import Server

JSON = {"content-type": "application/json"}

BODIES: dict[str, tuple[bytes, int, str]] = {
    "nothing": (b"", 400, "malformed-json"),
    "half an object": (b'{"message": "a"', 400, "malformed-json"),
    "text after the object": (b'{"message": "a"} b', 400, "malformed-json"),
    "bad UTF-8": (b'{"message": "\xff\xfe"}', 400, "malformed-json"),
    "UTF-16": ('{"message": "a"}'.encode("utf-16"), 400, "malformed-json"),
    "a byte order mark": (b'\xef\xbb\xbf{"message": "a"}', 400, "malformed-json"),
    "NaN": (b'{"message": "a", "x": NaN}', 400, "malformed-json"),
    "Infinity": (b'{"message": "a", "x": -Infinity}', 400, "malformed-json"),
    "a key twice": (b'{"message": "a", "message": "b"}', 400, "malformed-json"),
    "33 levels": (b'{"message": "a", "x": ' + b"[" * 32 + b"]" * 32 + b"}", 400, "malformed-json"),
    "very deep": (b"[" * 100_000 + b"]" * 100_000, 400, "malformed-json"),
    "very deep and open": (b'{"a":' * 100_000, 400, "malformed-json"),
    "a huge number": (b'{"message": "a", "x": ' + b"9" * 100_000 + b"}", 400, "malformed-json"),
    "a control character": (b'{"message": "a\x01"}', 400, "malformed-json"),
    "an array": (b'["a"]', 422, "wrong-field"),
    "a string": (b'"a"', 422, "wrong-field"),
    "null": (b"null", 422, "wrong-field"),
    "an empty object": (b"{}", 422, "wrong-field"),
    "a message of null": (b'{"message": null}', 422, "wrong-field"),
    "a message that is a number": (b'{"message": 7}', 422, "wrong-field"),
    "a message that is a list": (b'{"message": ["a"]}', 422, "wrong-field"),
    "an empty message": (b'{"message": ""}', 422, "wrong-field"),
    "half a surrogate pair": (b'{"message": "\\ud800"}', 422, "wrong-field"),
    "a conversation id with a space": (
        b'{"message": "a", "conversation_id": "a b"}', 422, "wrong-field"),
    "a conversation id with a line feed": (
        b'{"message": "a", "conversation_id": "a\\n"}', 422, "wrong-field"),
    "an empty conversation id": (b'{"message": "a", "conversation_id": ""}', 422, "wrong-field"),
    "a conversation id of 129": (
        b'{"message": "a", "conversation_id": "%s"}' % (b"x" * 129), 422, "wrong-field"),
    "a conversation id that is a number": (
        b'{"message": "a", "conversation_id": 1}', 422, "wrong-field"),
    "an unknown field": (b'{"message": "a", "user_id": "u"}', 422, "wrong-field"),
    "a field without a name": (b'{"message": "a", "": 1}', 422, "wrong-field"),
    "a field named by half a surrogate pair": (
        b'{"message": "a", "\\ud800": 1}', 422, "wrong-field"),
    "a field with a name of 1 MB": (
        b'{"message": "a", "%s": 1}' % (b"x" * 1_000_000), 422, "wrong-field"),
    "a message of 256 KiB and a byte": (b'{"message": "%s"}' % (b"x" * 262_145), 413, "too-large"),
    "a body of over 1 MiB": (b" " * 1_048_577, 413, "too-large"),
}  # fmt: skip


def check(server: Server, answer: Answer, status: int, cause: str) -> None:
    assert (answer.status, answer.cause) == (status, cause), answer
    assert answer.headers["turn-outcome"] == answer.json["outcome"] == "not_started"
    assert b"Traceback" not in answer.body
    assert server.calls() == []


@pytest.mark.parametrize("name", BODIES)
def test_a_malformed_body_is_refused_and_the_agent_is_not_called(server: Server, name: str) -> None:
    body, status, cause = BODIES[name]
    check(server, server.request("POST", "/chat", body, JSON), status, cause)


@pytest.mark.parametrize("media_type", ["text/plain", "application/xml", "", "multipart/form-data"])
def test_what_is_not_json_is_refused(server: Server, media_type: str) -> None:
    answer = server.request("POST", "/chat", b'{"message": "a"}', {"content-type": media_type})
    check(server, answer, 415, "not-json")


def test_a_body_without_a_content_type_is_refused(server: Server) -> None:
    body = b'{"message": "a"}'
    head = b"POST /chat HTTP/1.1\r\nhost: localhost\r\ncontent-length: %d\r\n\r\n" % len(body)
    with send(server.port, head + body) as connection:
        check(server, receive(connection), 415, "not-json")


def test_two_lengths_in_one_request_are_refused(server: Server) -> None:
    headers = {**JSON, "transfer-encoding": "chunked", "content-length": "16"}
    body = b'10\r\n{"message": "a"}\r\n0\r\n\r\n'
    with send(server.port, encode("POST", "/chat", None, headers) + body) as connection:
        check(server, receive(connection), 400, "malformed-request")


def test_a_chunked_body_over_the_limit_is_refused_and_not_kept(server: Server) -> None:
    """I-20: 64 MiB in chunks; what the process grows by is far less."""
    before = server.process.memory_info().rss
    chunk = b"%x\r\n%s\r\n" % (65_536, b" " * 65_536)
    headers = {**JSON, "transfer-encoding": "chunked"}
    with send(server.port, encode("POST", "/chat", None, headers)) as connection:
        for _ in range(1_024):
            connection.sendall(chunk)
        connection.sendall(b"0\r\n\r\n")
        check(server, receive(connection), 413, "too-large")
    assert server.process.memory_info().rss - before < 16 * 2**20


@pytest.mark.parametrize("deadline", ["soon", "-1", "1.5", "", "9" * 13, "1e3", "٣"])
def test_a_malformed_deadline_is_refused(server: Server, deadline: str) -> None:
    content = {"message": "a"}
    headers = {"turn-deadline-ms": deadline.encode().decode("latin1")}
    check(server, server.request("POST", "/chat", content, headers), 400, "malformed-request")


def test_a_deadline_that_has_passed_is_refused(server: Server) -> None:
    """I-16."""
    answer = server.request("POST", "/chat", {"message": "a"}, {"turn-deadline-ms": "0"})
    check(server, answer, 503, "wait-expired")


@pytest.mark.parametrize(
    "query",
    ["count=-1", "count=x", "count=1.5", "count=", "conversation_id=a%20b", "x", "=", "%ff=1",
     "conversation=a", "COUNT=1", "count=1&count=1", "count=0&conversation_id=a;count=1"],
)  # fmt: skip
def test_a_malformed_query_is_refused(server: Server, query: str) -> None:
    check(server, server.request("GET", f"/history?{query}"), 422, "wrong-field")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("POST", "/chat/", 404),
        ("GET", "/chat", 405),
        ("DELETE", "/chat", 405),
        ("POST", "/history", 405),
        ("PUT", "/health", 405),
    ],
)
def test_a_wrong_path_or_method_is_a_problem_document_too(
    server: Server, method: str, path: str, status: int
) -> None:
    answer = server.request(method, path, {"message": "a"} if method != "GET" else None)
    assert answer.status == status
    assert answer.json["outcome"] == "not_started"
    assert ("allow" in answer.headers) == (status == 405)


@pytest.mark.parametrize(
    "junk",
    [b"\x00\x01\x02\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n",
     b"POST /chat HTTP/1.1\r\n\r\n",
     b"GET /health HTTP/1.1\r\nhost: x\r\nbad header\r\n\r\n",
     b"GET / HTTP/1.1\r\nhost: x\r\nx: " + b"y" * 100_000 + b"\r\n\r\n",
     b"POST /chat HTTP/1.1\r\nhost: x\r\ncontent-length: -5\r\n\r\n",
     b"POST /chat HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n"],
)  # fmt: skip
def test_what_is_not_http_gets_a_4xx_and_the_server_lives(server: Server, junk: bytes) -> None:
    with send(server.port, junk) as connection:
        assert 400 <= receive(connection).status < 500
    assert server.health()["status"] == "healthy"


@pytest.fixture(scope="module")
def talking(http: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("text")) as running:
        yield running


def test_white_space_around_a_headers_value_is_no_part_of_it(talking: Server) -> None:
    for around in ("", " \t"):
        headers = {"turn-deadline-ms": f"{around}60000{around}", "idempotency-key": f"k{around}"}
        answer = talking.request("POST", "/chat", {"message": "once"}, headers)
        assert answer.status == 200, answer
    assert answer.headers["idempotent-replayed"] == "true"


@pytest.mark.parametrize("text", ["a\x00b", "é𝄞日本", "\u202e", "x" * 262_144])
def test_every_text_that_is_allowed_comes_through_whole(talking: Server, text: str) -> None:
    assert talking.chat(text).status == 200
    assert talking.history()[-2]["content"] == text

"""A client that can do what a well-behaved library would not: raw bytes, resets, half closes."""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any, Protocol

LIMIT_S = 30.0
"""How long one request or one condition may take."""

PATIENCE_S = 120.0
"""How long a process may take to start or to end by itself: only one that hangs takes so long."""


class Closes(Protocol):
    def close(self) -> object: ...


@dataclass(frozen=True, slots=True)
class Answer:
    """A response. `took_s` runs from the last byte sent to the last byte received."""

    status: int
    headers: dict[str, str]
    body: bytes
    took_s: float

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def cause(self) -> str:
        """The last part of a problem document's type."""
        assert self.headers["content-type"] == "application/problem+json", self
        return str(self.json["type"]).rpartition(":")[2]


def encode(
    method: str, path: str, content: object = None, headers: Mapping[str, str] | None = None
) -> bytes:
    """A whole request. Bytes are sent as they are, anything else as JSON."""
    named = {"host": "localhost", **(headers or {})}
    body = b""
    if content is not None:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        named = {"content-type": "application/json", "content-length": str(len(body)), **named}
    head = "".join(f"{name}: {value}\r\n" for name, value in named.items())
    return f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + body


def chat(message: str, conversation: str = "default", **headers: str) -> bytes:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    content = {"message": message, "conversation_id": conversation}
    return encode("POST", "/chat", content, named)


def connect(port: int, timeout_s: float = LIMIT_S) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout_s)
    with closed_on_error(connection):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


@contextmanager
def closed_on_error(connection: Closes) -> Iterator[None]:
    """A server that is killed may end it at any step; whoever opened it has no other hold of it."""
    try:
        yield
    except BaseException:
        connection.close()
        raise


def send(port: int, data: bytes) -> socket.socket:
    connection = connect(port)
    with closed_on_error(connection):
        connection.sendall(data)
    return connection


def reset(connection: socket.socket) -> None:
    """Close with RST instead of FIN."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def receive(connection: socket.socket) -> Answer:
    """Read one response; what comes after it may be lost."""
    with connection.makefile("rb") as stream:
        return read(stream)


def read(stream: IO[bytes]) -> Answer:
    """Read the next response."""
    began = time.monotonic()
    start = stream.readline().split()
    if len(start) < 2:
        raise ConnectionError("closed without an answer")
    status = int(start[1])
    headers: dict[str, str] = {}
    while line := stream.readline().strip():
        name, _, value = line.decode("latin1").partition(":")
        headers[name.lower()] = value.strip()
    if "content-length" not in headers:
        raise ConnectionError("the headers were cut off")
    body = stream.read(int(headers["content-length"]))
    if len(body) < int(headers["content-length"]):
        raise ConnectionError("the body was cut off")
    return Answer(status, headers, body, time.monotonic() - began)


def request(
    port: int,
    method: str,
    path: str,
    content: object = None,
    headers: Mapping[str, str] | None = None,
    timeout_s: float = LIMIT_S,
) -> Answer:
    with connect(port, timeout_s) as connection:
        connection.sendall(encode(method, path, content, headers))
        return receive(connection)


def together(calls: Iterable[Callable[[], Answer]]) -> list[Answer]:
    """Make the calls at once, a thread each; the answers in the order of the calls."""
    calls = list(calls)
    answers: list[Answer | BaseException | None] = [None] * len(calls)

    def make(place: int, call: Callable[[], Answer]) -> None:
        try:
            answers[place] = call()
        except BaseException as error:
            answers[place] = error

    threads = [
        threading.Thread(target=make, args=(place, call)) for place, call in enumerate(calls)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for answer in answers:
        if isinstance(answer, BaseException):
            raise answer
    return [answer for answer in answers if isinstance(answer, Answer)]


def until(condition: Callable[[], bool], what: str, limit_s: float = LIMIT_S) -> None:
    """Poll until the condition holds; fail with `what` when it has not by then."""
    ends_at = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < ends_at, f"not within {limit_s} s: {what}"
        time.sleep(0.01)

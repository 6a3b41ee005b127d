"""`runner chat`: talk to a running server from a terminal or a pipe. Standard library only."""

from __future__ import annotations

import json
import select
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from importlib import import_module
from typing import Any, cast
from urllib.parse import urlsplit

CONNECT_S = 10.0
POLL_S = 0.5
QUIT = "/quit"


@dataclass(frozen=True, slots=True)
class Server:
    """Where the server is, and how to be let in."""

    url: str
    token: str | None = None

    def connect(self) -> HTTPConnection:
        parts = urlsplit(self.url)
        kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        return kind(parts.hostname or "", parts.port, timeout=CONNECT_S)

    def ask(self, connection: HTTPConnection, method: str, path: str, body: str = "") -> None:
        headers = {"Content-Type": "application/json"} if body else {}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        base = urlsplit(self.url).path.rstrip("/")
        connection.request(method, base + path, body.encode(), headers)


def is_http_url(url: str) -> bool:
    """Whether a server can be looked for there."""
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def chat(server: Server, conversation: str) -> int:
    """Send each line and show its reply, until the input ends; the exit status."""
    if sys.stdin.isatty():
        print(f"Talking to {server.url}, conversation {conversation}. {QUIT} or Ctrl-D leaves.")
    for message in _messages():
        try:
            reply, refusal = _exchange(server, conversation, message)
        except ConnectionRefusedError:
            _complain(f"nothing answers at {server.url}; start a server with: runner serve")
            return 1
        except (OSError, HTTPException) as error:
            _complain(f"{server.url} did not answer: {error or type(error).__name__}")
            return 1
        except KeyboardInterrupt:
            _show_status("")
            _complain("abandoned")
            if not sys.stdin.isatty():
                return 130
        else:
            # Not in the try: a reader of ours that has left is not the server's failure.
            if refusal:
                _complain(refusal)
            else:
                print(_printable(reply), flush=True)
    return 0


def _messages() -> Iterator[str]:
    """The lines that are messages. At a prompt Ctrl-C clears the line, as in a shell."""
    prompt = "> " if sys.stdin.isatty() else ""
    if prompt:
        with suppress(ImportError):
            import_module("readline")  # Being imported, it gives input() a history and editing.
    while True:
        try:
            line = input(prompt).strip()
        except EOFError:
            if prompt:
                print()
            return
        except KeyboardInterrupt:
            if not prompt:
                return
            print()
            continue
        if line == QUIT:
            return
        if line:
            yield line


def _exchange(server: Server, conversation: str, message: str) -> tuple[str, str]:
    """The agent's reply, or else why there is none."""
    body = json.dumps({"message": message, "conversation_id": conversation})
    # Leaving this block closes the connection, by which the server knows that we left.
    with closing(server.connect()) as connection:
        server.ask(connection, "POST", "/chat", body)
        if sys.stdout.isatty():
            _show_waiting(server, connection)
        connection.sock.settimeout(None)
        response = connection.getresponse()
        content = _content(response)
    if response.status == 200:
        return str(content.get("response", "")), ""
    return "", _refusal(response, content)


def _show_waiting(server: Server, connection: HTTPConnection) -> None:
    """Say how long the line is, until the answer begins to arrive."""
    while not select.select([connection.sock], [], [], POLL_S)[0]:
        with suppress(OSError, HTTPException):
            with closing(server.connect()) as other:
                server.ask(other, "GET", "/health")
                waiting = _content(other.getresponse()).get("queue_depth", 0)
            turns = "1 turn" if waiting == 1 else f"{waiting} turns"
            _show_status(f"waiting, {turns} in line" if waiting else "the agent is at work")
    _show_status("")


def _show_status(text: str) -> None:
    """Replace the last line of the terminal."""
    if sys.stdout.isatty():
        print(f"\r\x1b[K{text}", end="", flush=True)


def _content(response: HTTPResponse) -> dict[str, Any]:
    try:
        content: object = json.loads(response.read())
    except ValueError:
        return {}
    return cast("dict[str, Any]", content) if isinstance(content, dict) else {}


def _refusal(response: HTTPResponse, content: dict[str, Any]) -> str:
    title = content.get("title") or response.reason
    text = f"{response.status} {title}. {content.get('detail', '')}".rstrip()
    again = response.headers.get("Retry-After")
    text = f"{text} Try again in {again} s." if again else text
    if response.status == 401:
        text += " Here: runner chat --token TOKEN, or RUNNER_TOKEN."
    return _printable(text)


def _printable(text: str) -> str:
    """What an agent says must not move the cursor or rename the window."""
    return "".join(c if c.isprintable() or c in "\n\t" else repr(c)[1:-1] for c in text)


def _complain(text: str) -> None:
    print(text, file=sys.stderr, flush=True)

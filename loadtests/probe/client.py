"""A client of the probe's: sends turns, several before it waits for one, and reads history."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import urlsplit

from runner.agents.base import Message

SLACK_S = 5.0
"""The server itself stops a turn at its limit; one that is silent for longer hangs."""

SOON_S = 0.2

LOST, SILENT, NEEDS_PERSON = "connection-lost", "silent", "input-required"


@dataclass(frozen=True, slots=True)
class SeenTurn:
    """A turn as its client saw it end.

    text    the reply, or what went wrong, in words.
    number  its place in the history, or 0.
    cause   the name of the problem, or one of ours above; "" for a reply.
    outcome as the server has said: `not_started`, `rolled_back`, `unknown`, or "".
    """

    message: str
    text: str
    number: int = 0
    cause: str = ""
    outcome: str = ""
    ran_s: float = 0.0

    @property
    def is_answered(self) -> bool:
        return not self.cause

    @property
    def is_refused(self) -> bool:
        return bool(self.cause) and self.outcome == "not_started"

    @property
    def is_failed(self) -> bool:
        return self.cause in ("agent-failed", "internal", "store-unavailable", "agent-hangs")

    @property
    def is_lost(self) -> bool:
        return self.cause == LOST

    @property
    def hangs(self) -> bool:
        return self.cause in (SILENT, "turn-timeout")


@dataclass(frozen=True, slots=True)
class Sent:
    """A message on its way; None where nobody listened."""

    message: str
    connection: HTTPConnection | None


class Client:
    """limit_s  how long a turn may take, once it runs."""

    def __init__(self, url: str, limit_s: float) -> None:
        self._address = urlsplit(url).netloc
        self._limit_s = limit_s

    def send(self, message: str, conversation: str, **headers: str) -> Sent:
        body = json.dumps({"message": message, "conversation_id": conversation})
        try:
            named = {"Content-Type": "application/json", **headers}
            return Sent(message, self._request("POST", "/chat", body, named))
        except OSError:
            return Sent(message, None)

    def receive(self, sent: Sent, ahead: int = 0, *, at_once: bool = False) -> SeenTurn:
        """How the turn ended, which may have waited for so many ahead of it.

        at_once  it should have ended by now.
        """
        if sent.connection is None or sent.connection.sock is None:
            return SeenTurn(sent.message, "nobody listens", cause=LOST)
        limit_s = SOON_S if at_once else (ahead + 1) * self._limit_s + SLACK_S
        sent.connection.sock.settimeout(limit_s)
        try:
            return _seen(sent.message, _content(sent.connection))
        except TimeoutError:
            return SeenTurn(sent.message, f"no answer in {limit_s:g} s", cause=SILENT)
        except (OSError, HTTPException):
            return SeenTurn(sent.message, "the connection was lost", cause=LOST)

    def turn(self, message: str, conversation: str, **headers: str) -> SeenTurn:
        return self.receive(self.send(message, conversation, **headers))

    def history(self, conversation: str) -> list[Message]:
        """All of it. Raises OSError, HTTPException where the server is gone."""
        path = f"/history?count=0&conversation_id={conversation}"
        messages: list[Message] = _content(self._request("GET", path))["messages"]
        return messages

    def cancel_running(self, conversation: str) -> None:
        """Cancel the turn that runs in the conversation, if one does and the server lives."""
        with suppress(OSError, HTTPException):
            shown = _content(self._request("GET", f"/conversations/{conversation}"))
            if running := shown.get("running"):
                _content(self._request("DELETE", f"/turns/{running['turn_id']}"))

    def _request(
        self, method: str, path: str, body: str = "", headers: dict[str, str] | None = None
    ) -> HTTPConnection:
        connection = HTTPConnection(self._address, timeout=self._limit_s + SLACK_S)
        connection.request(method, path, body.encode(), {**(headers or {}), "Connection": "close"})
        return connection


def _content(connection: HTTPConnection) -> dict[str, Any]:
    """The JSON of the answer, which is the last on its connection."""
    try:
        content: dict[str, Any] = json.loads(connection.getresponse().read() or b"{}")
        return content
    finally:
        connection.close()


def _seen(message: str, content: dict[str, Any]) -> SeenTurn:
    if "response" in content:
        ran_s = content.get("ran_ms", 0) / 1000
        cause = NEEDS_PERSON if content.get("requests") else ""
        return SeenTurn(message, content["response"], content["turn"], cause, ran_s=ran_s)
    cause = str(content.get("type", "")).rpartition(":")[2] or "no-document"
    text = content.get("agent_error") or content.get("detail") or content
    return SeenTurn(message, str(text), cause=cause, outcome=content.get("outcome", ""))

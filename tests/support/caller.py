"""A caller with a token of its own."""

from __future__ import annotations

from typing import Any

from tests.support.client import Answer
from tests.support.server import Server


class Caller:
    """Sends everything with its token."""

    def __init__(self, server: Server, token: str) -> None:
        self._server = server
        self._token = token

    def __call__(self, method: str, path: str, content: object = None, **headers: str) -> Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        named["authorization"] = f"Bearer {self._token}"
        return self._server.request(method, path, content, named)

    def chat(self, message: str, conversation: str = "default", **headers: str) -> Any:
        content = {"message": message, "conversation_id": conversation}
        return self("POST", "/chat", content, **headers)

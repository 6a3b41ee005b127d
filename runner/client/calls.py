"""What can be asked of a server: each call as what a shell carries out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from math import inf
from typing import Any
from urllib.parse import quote, urlsplit
from uuid import uuid4

from runner.client.exchange import Call, Exchange, Sent
from runner.client.patience import Patience
from runner.client.shapes import Message, Options, Said, Turn
from runner.client.wire import history_of, turn_of

CONNECT_S = 10.0
LOOPBACK = ("localhost", "127.0.0.1", "::1")


class Calls:
    """Of one server. Raises ValueError for a URL that is none."""

    def __init__(self, url: str, token: str | None, retries: int, timeout_s: float) -> None:
        self.url = url.rstrip("/")
        self.is_local = _host(url) in LOOPBACK
        self.headers = {"authorization": f"Bearer {token}"} if token else {}
        self.timeout_s = timeout_s
        self._retries = retries

    def ask(self, message: Message | None, conversation_id: str, options: Options) -> Exchange:
        # A broken connection must not cost the place in the line.
        headers = {
            "accept": "text/event-stream, application/json",
            "prefer": "on-disconnect=continue",
        }
        sent = _post(message, conversation_id, options, headers)
        return Exchange(sent, "", self._patience(options.get("deadline_s", inf)))

    def background(
        self, message: Message | None, conversation_id: str, webhook: str | None, options: Options
    ) -> Call[Turn]:
        headers = {"prefer": "respond-async"}
        if webhook is not None:
            headers["webhook-url"] = webhook
        sent = _post(message, conversation_id, options, headers)
        return Call(sent, turn_of, self._patience(options.get("deadline_s", inf)))

    def events(self, turn_id: str) -> Exchange:
        return Exchange(None, quote(turn_id, safe=""), self._patience(was_sent=True))

    def turn(self, turn_id: str) -> Call[Turn]:
        return Call(_request("GET", "turns", turn_id), turn_of, self._patience())

    def cancel(self, turn_id: str) -> Call[Turn]:
        return Call(_request("DELETE", "turns", turn_id), turn_of, self._patience())

    def history(self, conversation_id: str, count: int) -> Call[list[Said]]:
        path = f"/history?count={count}&conversation_id={quote(conversation_id, safe='')}"
        return Call(Sent("GET", path, {}), history_of, self._patience())

    def forget(self, conversation_id: str) -> Call[bool]:
        sent = _request("DELETE", "conversations", conversation_id)
        return Call(sent, lambda _: True, self._patience())

    def health(self) -> Call[dict[str, Any]]:
        return Call(Sent("GET", "/health", {}), _as_it_is, self._patience())

    def _patience(self, deadline_s: float = inf, *, was_sent: bool = False) -> Patience:
        return Patience(self._retries, self.timeout_s, deadline_s, was_sent=was_sent)


def _post(
    message: Message | None, conversation_id: str, options: Options, headers: Mapping[str, str]
) -> Sent:
    if (message is None) == ("resume" not in options):
        raise TypeError("give a message, or resume= in place of one")
    fields: dict[str, Any] = {"conversation_id": conversation_id}
    if "resume" in options:
        resume = options["resume"]
        fields["resume"] = (
            resume
            if isinstance(resume, str)
            else {name: asdict(answer) for name, answer in resume.items()}
        )
    else:
        fields["message"] = message
    if "metadata" in options:
        fields["metadata"] = dict(options["metadata"])
    named = {
        "content-type": "application/json",
        "idempotency-key": options.get("idempotency_key") or str(uuid4()),
        **headers,
    }
    if "priority" in options:
        named["priority"] = f"u={options['priority']}"
    if "strategy" in options:
        named["turn-strategy"] = options["strategy"]
    return Sent("POST", "/chat", named, json.dumps(fields).encode())


def _request(method: str, kind: str, own_id: str) -> Sent:
    return Sent(method, f"/{kind}/{quote(own_id, safe='')}", {})


def _as_it_is(document: dict[str, Any]) -> dict[str, Any]:
    return document


def _host(url: str) -> str:
    try:
        parts = urlsplit(url)
        if parts.scheme in ("http", "https") and parts.hostname and parts.port != 0:
            return parts.hostname
    except ValueError:
        pass
    raise ValueError(f"{url!r} should be such as http://127.0.0.1:8080")

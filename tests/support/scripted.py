"""A server that answers what the test says, whatever it is asked."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, Self, cast


class Scripted(ThreadingHTTPServer):
    """Answers each request with the next scripted answer, and keeps what was sent."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: list[tuple[int, dict[str, str], bytes]] = []
        self.asked: list[tuple[str, str | None, Any]] = []
        self.headers: list[dict[str, str]] = []

    def __enter__(self) -> Self:
        Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.shutdown()
        self.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def will_say(self, text: str) -> None:
        self.answers.append((200, {}, json.dumps({"response": text}).encode()))

    def will_refuse(self, status: int, after_s: float | None = None, **members: object) -> None:
        told = {"type": "urn:turnline:problem:x", "title": "X", "outcome": "not_started", **members}
        told |= {} if after_s is None else {"retry_after_s": after_s}
        self.answers.append((status, {}, json.dumps(told).encode()))

    def will_stream(self, *events: tuple[str, str, object], turn: str = "t1") -> None:
        """Events as (id, name, data); the turn's end is as the last of them says."""
        body = "".join(
            f"id: {number}\nevent: {name}\ndata: {json.dumps(data)}\n\n"
            for number, name, data in events
        )
        headers = {"content-type": "text/event-stream", "location": f"/turns/{turn}"}
        self.answers.append((200, headers, body.encode()))


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        scripted = cast(Scripted, self.server)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        content = json.loads(body) if body else None
        scripted.asked.append((self.path, self.headers["Authorization"], content))
        scripted.headers.append({name.lower(): value for name, value in self.headers.items()})
        status, headers, answer = scripted.answers.pop(0)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_DELETE = do_POST

    def log_message(self, format: str, *args: object) -> None:
        pass

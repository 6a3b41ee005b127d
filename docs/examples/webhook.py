"""A receiver of webhooks: checks who sent them, and prints what became of each turn once."""

from __future__ import annotations

import base64
import hmac
import json
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

seen: set[str] = set()
"""Keep this where it survives a restart."""


def is_ours(headers: Mapping[str, str], body: bytes) -> bool:
    """Whether somebody who has the secret sent it, and in the last five minutes."""
    sent_at = headers["webhook-timestamp"]
    content = f"{headers['webhook-id']}.{sent_at}.".encode() + body
    digest = hmac.digest(base64.b64decode(SECRET.removeprefix("whsec_")), content, "sha256")
    expected = f"v1,{base64.b64encode(digest).decode()}"
    signatures = headers["webhook-signature"].split()  # One for each secret of the sender's.
    is_signed = any(hmac.compare_digest(expected, one) for one in signatures)
    return is_signed and abs(time.time() - int(sent_at)) < 300


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        try:
            is_known = is_ours(headers, body)
        except (KeyError, ValueError):
            is_known = False
        self.send_response(204 if is_known else 401)
        self.end_headers()
        if is_known and headers["webhook-id"] not in seen:
            seen.add(headers["webhook-id"])
            turn = json.loads(body)
            told = turn.get("response") or turn.get("detail", "")
            print(f"{turn['turn_id']}: {turn['state']} {told}", flush=True)

    def log_message(self, format: str, *args: object) -> None:
        pass


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", 9009), Receiver).serve_forever()

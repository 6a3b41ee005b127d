"""Signatures as standardwebhooks.com says: who has the secret can tell that it was us, and when."""

from __future__ import annotations

import hmac
from base64 import b64decode, b64encode

PREFIX = "whsec_"


def signed(secret: str, message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The headers. `secret` is `whsec_` and base64."""
    key = b64decode(secret.removeprefix(PREFIX))
    content = b"%b.%d.%b" % (message_id.encode(), timestamp, body)
    signature = b64encode(hmac.digest(key, content, "sha256")).decode()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": f"v1,{signature}",
    }

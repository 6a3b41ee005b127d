"""Signatures as standardwebhooks.com says: who has the secret can tell that it was us, and when."""

from __future__ import annotations

import hmac
import time
from base64 import b64decode, b64encode
from collections.abc import Iterable

PREFIX = "whsec_"


def signed(
    secrets: Iterable[str], message_id: str, body: bytes, now: float | None = None
) -> dict[str, str]:
    """The headers. A signature with each secret, `whsec_` and base64: a receiver needs one.

    now  seconds since 1970.
    """
    timestamp = int(time.time() if now is None else now)
    content = b"%b.%d.%b" % (message_id.encode(), timestamp, body)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(_signature(secret, content) for secret in secrets),
    }


def _signature(secret: str, content: bytes) -> str:
    key = b64decode(secret.removeprefix(PREFIX))
    return f"v1,{b64encode(hmac.digest(key, content, 'sha256')).decode()}"

"""What both shells take from httpx, and how they tell its errors."""

from __future__ import annotations

from typing import TypedDict

import httpx

from runner.client.calls import CONNECT_S, Calls

BROKEN = (httpx.TransportError, httpx.DecodingError)
NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)


class Knobs(TypedDict):
    base_url: str
    headers: dict[str, str]
    timeout: httpx.Timeout
    limits: httpx.Limits
    trust_env: bool


def knobs(calls: Calls) -> Knobs:
    """Of an httpx client."""
    connect_s = min(CONNECT_S, calls.timeout_s)
    return {
        "base_url": calls.url,
        "headers": calls.headers,
        "timeout": httpx.Timeout(calls.timeout_s, connect=connect_s, pool=None),
        # A turn that waits holds a connection, and any number may wait.
        "limits": httpx.Limits(max_connections=None, max_keepalive_connections=20),
        # The environment's proxy cannot reach this machine.
        "trust_env": not calls.is_local,
    }


def loss(error: Exception) -> tuple[str, bool]:
    """What broke the connection, in words, and whether something may have been sent."""
    return str(error) or type(error).__name__, not isinstance(error, NEVER_SENT)

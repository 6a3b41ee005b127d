"""The agent's card: where it is, and what it takes."""

from __future__ import annotations

import re
from typing import Any

from runner import __version__
from runner.api.exchange import Answer, Request, json_answer
from runner.turns.service import Service

CARD_PATH = "/.well-known/agent-card.json"
RPC_PATH = "/a2a"
VERSION = "1.0"

HOST = re.compile(r"[A-Za-z0-9._:\[\]-]{1,255}")
PREFIX = re.compile(r"(?:/[A-Za-z0-9._~-]+){1,8}")

INPUT_MODES = {"image": ["image/*"], "file": ["application/*", "text/*"]}


async def a2a_card(service: Service, request: Request) -> Answer:
    """To a stranger it does not say what it serves, where a token is needed."""
    content = describe(service, request, is_whole=not service.settings.server.tokens)
    return json_answer(content, headers=(("cache-control", "no-store"),))


def describe(service: Service, request: Request, *, is_whole: bool) -> dict[str, Any]:
    about, needs_token = service.about, bool(service.settings.server.tokens)
    description = f"{about.target} ({about.kind})" if is_whole else "An agent behind Turnline."
    takes = [mode for kind in sorted(about.takes) for mode in INPUT_MODES.get(kind, ())]
    content: dict[str, Any] = {
        "name": service.settings.agent.id if is_whole else "agent",
        "description": description,
        "version": __version__,
        "supportedInterfaces": [
            {"url": _url(request), "protocolBinding": "JSONRPC", "protocolVersion": VERSION}
        ],
        "capabilities": {
            "streaming": True,
            "pushNotifications": bool(service.settings.webhook.allowed_hosts),
            "extendedAgentCard": needs_token,
        },
        "defaultInputModes": ["text/plain", "application/json", *takes],
        "defaultOutputModes": ["text/plain", "application/json"],
        "skills": [
            {
                "id": "chat",
                "name": "Conversation",
                "description": "Answers messages; it knows what was said before in the context.",
                "tags": ["chat"],
            }
        ],
    }
    if needs_token:
        scheme = {"httpAuthSecurityScheme": {"scheme": "Bearer"}}
        content["securitySchemes"] = {"bearer": scheme}
        content["securityRequirements"] = [{"schemes": {"bearer": {"list": []}}}]
    return content


def _url(request: Request) -> str:
    """As the client reaches us, which a proxy in between knows; only that client is told."""
    scheme = _forwarded(request, b"x-forwarded-proto", re.compile("https?"))
    host = _forwarded(request, b"x-forwarded-host", HOST)
    prefix = _forwarded(request, b"x-forwarded-prefix", PREFIX)
    own_host = request.headers.get(b"host", b"localhost").decode("latin1")
    own_scheme, root = request.scope.get("scheme", "http"), request.scope.get("root_path", "")
    return f"{scheme or own_scheme}://{host or own_host}{prefix or root}{RPC_PATH}"


def _forwarded(request: Request, name: bytes, valid: re.Pattern[str]) -> str:
    value = request.headers.get(name, b"").decode("latin1").partition(",")[0].strip()
    return value if valid.fullmatch(value) else ""

"""The one table of routes: method, path, handler, and how the route describes itself."""

from __future__ import annotations

import json
import re
from functools import lru_cache, partial
from pathlib import Path

from jinja2 import Environment, FileSystemLoader

from runner.api import chat, documents, handlers, openapi
from runner.api import problems as p
from runner.api.exchange import Answer, Request, json_answer
from runner.api.openapi import Route, plain
from runner.turns.service import Service

PAGE_HEADERS = (
    ("content-type", "text/html; charset=utf-8"),
    ("content-security-policy", "default-src 'none'; style-src 'unsafe-inline'"),
)


async def description(service: Service, request: Request) -> Answer:
    return _texts(service)[0]


async def docs(service: Service, request: Request) -> Answer:
    return _texts(service)[1]


@lru_cache(maxsize=1)
def _texts(service: Service) -> tuple[Answer, Answer]:
    document = openapi.describe(ROUTES, service.settings)
    templates = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True)
    templates.filters["pretty"] = partial(json.dumps, indent=2)
    page = templates.get_template("docs.html").render(document)
    return json_answer(document), Answer(200, PAGE_HEADERS, page.encode())


ROUTES = (
    Route("POST", "/chat", chat.chat, openapi.chat),
    Route("GET", "/turns/{turn_id}", handlers.turn,
          plain("Ask for a turn", documents.Turn, p.NO_TURN, p.STORE)),
    Route("DELETE", "/turns/{turn_id}", handlers.cancel,
          plain("Cancel a turn, waiting or running; one that has ended stays as it is",
                documents.Turn, p.NO_TURN, p.STORE)),
    Route("GET", "/turns/{turn_id}/events", chat.events, openapi.events),
    Route("GET", "/conversations", handlers.conversations,
          plain("List your conversations, those with a turn that lives first",
                documents.ConversationList, p.STORE), count=100),
    Route("GET", "/conversations/{conversation_id}", handlers.conversation,
          plain("Who runs and who waits", documents.ConversationDetail,
                p.NO_CONVERSATION, p.STORE)),
    Route("DELETE", "/conversations/{conversation_id}", handlers.forget,
          plain("Forget a conversation that is idle", None,
                p.NO_CONVERSATION, p.BUSY, p.STORE)),
    Route("GET", "/history", handlers.history,
          plain("Read a conversation", documents.Messages, p.STORE),
          count=1, query=("conversation_id",)),
    Route("GET", "/health", handlers.health, plain("How the server is", documents.Health)),
    Route("GET", "/health/live", handlers.live,
          plain("Whether the process lives", documents.Probe), is_open=True),
    Route("GET", "/health/ready", handlers.ready,
          plain("Whether turns are taken", documents.Probe, p.DRAINING), is_open=True),
    Route("GET", "/openapi.json", description,
          openapi.page("This document", "application/json"), is_open=True),
    Route("GET", "/docs", docs,
          openapi.page("The same, to be read", "text/html; charset=utf-8"), is_open=True),
)  # fmt: skip

Methods = dict[str, Route]

_BY_PATH: dict[str, Methods] = {}
for _route in ROUTES:
    _BY_PATH.setdefault(_route.path, {})[_route.method] = _route

_PATTERNS = [
    (re.compile(re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", path.replace(".", r"\."))), methods)
    for path, methods in _BY_PATH.items()
]


def match(path: str) -> tuple[Methods, dict[str, str]]:
    """The routes at this path, by their methods, and what the path names; none for a stranger's."""
    for pattern, methods in _PATTERNS:
        if found := pattern.fullmatch(path):
            return methods, found.groupdict()
    return {}, {}

"""The one table of routes: method, path, handler, and how the route describes itself."""

from __future__ import annotations

import re
from functools import lru_cache

from runner.api import chat, documents, handlers, openapi, operations, pages
from runner.api import problems as p
from runner.api.exchange import Answer, Request, json_answer
from runner.api.openapi import Route
from runner.api.operations import plain
from runner.turns.service import Service


async def description(service: Service, request: Request) -> Answer:
    return _texts(service)[0]


async def docs(service: Service, request: Request) -> Answer:
    return pages.page(_texts(service)[1], request)


@lru_cache(maxsize=1)
def _texts(service: Service) -> tuple[Answer, bytes]:
    document = openapi.describe(ROUTES, service.settings)
    return json_answer(document), pages.render("docs.html", **document)


ROUTES = (
    Route("POST", "/chat", chat.chat, operations.chat),
    Route("GET", "/turns/{turn_id}", handlers.turn,
          plain("Ask for a turn", documents.Turn, p.NO_TURN, p.STORE)),
    Route("DELETE", "/turns/{turn_id}", handlers.cancel,
          plain("Cancel a turn, waiting or running; one that has ended stays as it is",
                documents.Turn, p.NO_TURN, p.STORE)),
    Route("GET", "/turns/{turn_id}/events", chat.events, operations.events),
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
    Route("GET", "/health", handlers.health, plain("How the server is", documents.Health),
          any_query=True),
    Route("GET", "/health/live", handlers.live,
          plain("Whether the process lives", documents.Probe), is_open=True),
    Route("GET", "/health/ready", handlers.ready,
          plain("Whether turns are taken", documents.Probe, p.DRAINING, p.STORE,
                p.AGENT_HANGS),
          is_open=True),
    Route("GET", "/", pages.home,
          operations.page("What this is", pages.HTML, documents.Home), is_open=True),
    Route("GET", "/favicon.ico", pages.icon,
          operations.page("The icon of the pages", "image/svg+xml"), is_open=True),
    Route("GET", "/openapi.json", description,
          operations.page("This document", "application/json"), is_open=True),
    Route("GET", "/docs", docs,
          operations.page("The same, to be read", pages.HTML), is_open=True),
)  # fmt: skip

Methods = dict[str, Route]

_BY_PATH: dict[str, Methods] = {}
for _route in ROUTES:
    _BY_PATH.setdefault(_route.path, {})[_route.method] = _route

_PATTERNS = [
    (re.compile(re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", path.replace(".", r"\."))), methods)
    for path, methods in _BY_PATH.items()
    if "{" in path
]
_FIXED = {path: methods for path, methods in _BY_PATH.items() if "{" not in path}


def match(path: str) -> tuple[Methods, dict[str, str]]:
    """The routes at this path, by their methods, and what the path names; none for a stranger's."""
    if path in _FIXED:
        return _FIXED[path], {}
    for pattern, methods in _PATTERNS:
        if found := pattern.fullmatch(path):
            return methods, found.groupdict()
    return {}, {}

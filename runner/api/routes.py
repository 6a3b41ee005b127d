"""The one table of routes: method, path, handler, and how the route describes itself."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cached_property

from runner.api import chat, documents, handlers, openapi, operations, pages
from runner.api import problems as p
from runner.api.exchange import Answer, Request, json_answer
from runner.api.openapi import Route
from runner.api.operations import plain
from runner.api.problems import refusal_of
from runner.settings import Settings
from runner.turns.service import Service
from runner.web import page

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
    Route("GET", "/", page.home,
          operations.page("What this is", pages.HTML, documents.Home), is_open=True),
    Route("GET", "/favicon.ico", pages.icon,
          operations.page("The icon of the pages", "image/svg+xml"), is_open=True),
)  # fmt: skip

METRICS = Route("GET", "/metrics", handlers.metrics, operations.metrics, any_query=True)

Methods = dict[str, Route]


class Routes:
    """The table, with what the doors add to it, and the description of it all."""

    def __init__(self, settings: Settings, added: Iterable[Route] = ()) -> None:
        self._settings = settings
        self.all = (
            *ROUTES,
            *((METRICS,) if settings.observability.metrics else ()),
            *added,
            Route("GET", "/openapi.json", self.description,
                  operations.page("This document", "application/json"), is_open=True),
            Route("GET", "/docs", self.docs,
                  operations.page("The same, to be read", pages.HTML), is_open=True),
        )  # fmt: skip
        self._fixed: dict[str, Methods] = {}
        patterns: dict[str, Methods] = {}
        for route in self.all:
            table = patterns if "{" in route.path else self._fixed
            table.setdefault(route.path, {})[route.method] = route
        self._patterns = [(_pattern(path), methods) for path, methods in patterns.items()]
        self._below: dict[str, Route] = {}
        for route in self.all:
            self._below.setdefault(_first_part(route.path), route)

    def match(self, path: str) -> tuple[Methods, dict[str, str]]:
        """The routes at this path by their methods, and what the path names; none for others."""
        if path in self._fixed:
            return self._fixed[path], {}
        for pattern, methods in self._patterns:
            if found := pattern.fullmatch(path):
                return methods, found.groupdict()
        return {}, {}

    def nearest(self, path: str) -> Route:
        """The route in whose words the path is refused: at it, else one that begins alike.

        For whoever mistypes a path, or comes with a method that it has not, is a client of it.
        """
        methods, _ = self.match(path)
        for route in methods.values():
            return route
        return self._below.get(_first_part(path), self._below[""])

    def answer_to(self, error: Exception, path: str) -> Answer:
        """What its client is told of a request that ended with this error."""
        refusal = refusal_of(error, path)
        return self.nearest(path).refuse(refusal.document, refusal.headers)

    async def description(self, service: Service, request: Request) -> Answer:
        return self._texts[0]

    async def docs(self, service: Service, request: Request) -> Answer:
        return pages.page(self._texts[1], request)

    @cached_property
    def _texts(self) -> tuple[Answer, bytes]:
        document = openapi.describe(self.all, self._settings)
        return json_answer(document), pages.render("docs.html", **document)


def _first_part(path: str) -> str:
    return path.removeprefix("/").partition("/")[0]


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(path)))

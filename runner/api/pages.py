"""The pages that a person sees in a browser. Nothing in them is loaded from elsewhere."""

from __future__ import annotations

import json
import re
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader

from runner.api import documents, examples
from runner.api.exchange import Answer, Request, json_answer
from runner.turns.service import Service

HTML = "text/html; charset=utf-8"
HEADERS = (
    ("content-type", HTML),
    ("content-security-policy", "default-src 'none'; style-src 'unsafe-inline'; img-src 'self'"),
)
BY_ACCEPT = (("vary", "accept"),)

HOST = re.compile(r"(?:[A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")
"""What may stand in an example: nothing that a shell or HTML would read as its own."""

ICON = b"""\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><rect width="16" height="16" rx="4"\
 fill="#2563eb"/><path d="M4 5h8M8 5v7" stroke="#fff" stroke-width="2"/></svg>"""


def render(template: str, **context: Any) -> bytes:
    """The page, still with the address of the examples: too dear to be made for each request."""
    templates = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True)
    templates.filters["pretty"] = partial(json.dumps, indent=2)
    return templates.get_template(template).render(context).encode()


def page(body: bytes, request: Request, headers: tuple[tuple[str, str], ...] = ()) -> Answer:
    """The page, with the address at which its reader found this server."""
    host = request.headers.get(b"host", b"").decode("latin1")
    if HOST.fullmatch(host):
        here = f"{request.scope.get('scheme', 'http')}://{host}"
        body = body.replace(examples.ORIGIN.encode(), here.encode())
    return Answer(200, (*HEADERS, *headers), body)


async def home(service: Service, request: Request) -> Answer:
    """`GET /`: a page for a browser, a document for a program."""
    if b"text/html" in request.headers.get(b"accept", b"").lower():
        return page(_home(service), request, BY_ACCEPT)
    return json_answer(documents.home(service), headers=BY_ACCEPT)


@lru_cache(maxsize=1)
def _home(service: Service) -> bytes:
    token = (examples.TOKEN,) if service.settings.server.tokens else ()
    chat = examples.curl("/chat", "", *token, examples.JSON, examples.DATA)
    return render("home.html", curl=chat, **documents.home(service))


async def icon(service: Service, request: Request) -> Answer:
    """`GET /favicon.ico`, for which every browser asks."""
    headers = (("content-type", "image/svg+xml"), ("cache-control", "max-age=86400"))
    return Answer(200, headers, ICON)

"""The pages that a person sees in a browser. Nothing in them is loaded from elsewhere."""

from __future__ import annotations

import json
import re
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader

from runner.api import documents, examples
from runner.api.exchange import Answer, Request
from runner.turns.service import Service

FOLDER = Path(__file__).parent
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


def render(template: str, folder: Path = FOLDER, **context: Any) -> bytes:
    """The page, still with the address of the examples: too dear to be made for each request."""
    templates = Environment(loader=FileSystemLoader(folder), autoescape=True)
    templates.filters["pretty"] = partial(json.dumps, indent=2)
    return templates.get_template(template).render(context).encode()


def with_address(body: bytes, request: Request) -> bytes:
    """The page, with the address at which its reader found this server."""
    host = request.headers.get(b"host", b"").decode("latin1")
    if not HOST.fullmatch(host):
        return body
    here = f"{request.scope.get('scheme', 'http')}://{host}"
    return body.replace(examples.ORIGIN.encode(), here.encode())


def page(body: bytes, request: Request, headers: tuple[tuple[str, str], ...] = ()) -> Answer:
    """A page without scripts."""
    return Answer(200, (*HEADERS, *headers), with_address(body, request))


def is_wanted(request: Request) -> bool:
    """Whether the client reads pages: a browser, not a program."""
    return b"text/html" in request.headers.get(b"accept", b"").lower()


def plain_home(service: Service, request: Request) -> Answer:
    """What this is and where the rest is, for a browser, where the web page is not shown."""
    return page(_plain_home(service), request, BY_ACCEPT)


@lru_cache(maxsize=1)
def _plain_home(service: Service) -> bytes:
    return render("home.html", **about(service))


def about(service: Service) -> dict[str, Any]:
    """What both pages at `GET /` say of the server, with an example of a call."""
    token = (examples.TOKEN,) if service.settings.server.tokens else ()
    chat = examples.curl("/chat", "", *token, examples.JSON, examples.DATA)
    return {"curl": chat, **documents.home(service)}


async def icon(service: Service, request: Request) -> Answer:
    """`GET /favicon.ico`, for which every browser asks."""
    headers = (("content-type", "image/svg+xml"), ("cache-control", "max-age=86400"))
    return Answer(200, headers, ICON)

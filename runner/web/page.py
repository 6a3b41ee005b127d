"""The web page at `GET /`, and the files that it is made of, at `GET /web/{file}`.

The shell is open to everybody; what it shows, it asks for with its reader's token.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from runner.api import documents, operations, pages
from runner.api.exchange import Answer, Headers, Request, json_answer
from runner.api.openapi import Route
from runner.api.problems import ELSEWHERE, NOT_FOUND, RequestError
from runner.turns.service import Service

FOLDER = Path(__file__).parent / "static"
UPLOT = Path(__file__).parent / "vendor" / "uplot"

KINDS = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8"}

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'"
)
EVERYWHERE = (("x-content-type-options", "nosniff"), ("cache-control", "no-cache"))
"""A browser asks each time whether it has the newest: one of an older server may not fit."""
PAGE = (
    ("content-type", pages.HTML),
    ("content-security-policy", POLICY),
    ("referrer-policy", "no-referrer"),
    *EVERYWHERE,
    *pages.BY_ACCEPT,
)


@dataclass(frozen=True, slots=True)
class File:
    body: bytes
    headers: Headers
    etag: str


def _read(path: Path) -> File:
    body = path.read_bytes()
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    return File(body, (("content-type", KINDS[path.suffix]), ("etag", etag), *EVERYWHERE), etag)


FILES = {
    path.name: _read(path)
    for folder in (FOLDER, UPLOT)
    for path in sorted(folder.iterdir())
    if path.suffix in KINDS
}
"""All that there is, by name: no request ever becomes a path."""


def routes() -> tuple[Route, ...]:
    """Without the one of `GET /`, which is there where the page is off, too."""
    about = operations.page("A file of the page", "text/javascript", causes=(NOT_FOUND,))
    return (Route("GET", "/web/{file}", file, about, is_open=True),)


async def home(service: Service, request: Request) -> Answer:
    """`GET /`: the page for a browser, a document for a program."""
    if not pages.is_wanted(request):
        return json_answer(documents.home(service), headers=pages.BY_ACCEPT)
    if not service.settings.observability.page:
        return pages.plain_home(service, request)
    return Answer(200, PAGE, pages.with_address(_home(service), request))


@lru_cache(maxsize=1)
def _home(service: Service) -> bytes:
    return pages.render("page.html", folder=FOLDER, **pages.about(service))


async def file(service: Service, request: Request) -> Answer:
    """`GET /web/{file}`."""
    found = FILES.get(request.params["file"])
    if found is None:
        raise RequestError(NOT_FOUND, ELSEWHERE)
    seen = request.headers.get(b"if-none-match", b"").decode("latin1")
    if found.etag in seen or seen.strip() == "*":
        return Answer(304, found.headers)
    return Answer(200, found.headers, found.body)

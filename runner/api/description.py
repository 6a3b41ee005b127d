"""`GET /openapi.json` and `GET /docs`."""

from __future__ import annotations

from quart import Blueprint, Response

from runner.api import docs_page, openapi
from runner.api.problems import Answer, to_json
from runner.api.responses import to_response
from runner.settings import Settings

PAGE_HEADERS = (
    ("content-type", "text/html; charset=utf-8"),
    ("content-security-policy", "default-src 'none'; style-src 'unsafe-inline'"),
)


def make_blueprint(settings: Settings) -> Blueprint:
    """The routes; both texts are made once."""
    routes = Blueprint("description", __name__)
    document = openapi.describe(settings)
    as_json = Answer(200, (("content-type", "application/json"),), to_json(document))
    as_page = Answer(200, PAGE_HEADERS, docs_page.render(document))

    @routes.get("/openapi.json")
    async def description() -> Response:  # pyright: ignore[reportUnusedFunction]
        return to_response(as_json)

    @routes.get("/docs")
    async def page() -> Response:  # pyright: ignore[reportUnusedFunction]
        return to_response(as_page)

    return routes

"""The routes of the page: what it shows, and what it asks for."""

from __future__ import annotations

import json
from typing import Any

from runner.api import operations
from runner.api import problems as p
from runner.api.exchange import Answer, Request, json_answer
from runner.api.openapi import Route
from runner.api.problems import RequestError
from runner.config.masking import shown
from runner.settings import FIELDS, Settings
from runner.turns.service import Service
from runner.web import page, side_by_side
from runner.web.sight import Sight
from runner.web.stream import PRIVATE, Views


def routes(settings: Settings) -> tuple[Route, ...]:
    """None where the page is off."""
    if not settings.observability.page:
        return ()
    return (
        *page.routes(),
        Route("GET", "/view", Views().view,
              operations.streamed("What happens now, as the page shows it",
                                  "Events `view`, the first of them whole.", p.VIEW_FULL,
                                  whole="What the first event would have told.")),
        Route("GET", "/view/settings", effective_settings,
              operations.page("The settings in effect", "application/json")),
        *side_by_side.routes(),
    )  # fmt: skip


async def effective_settings(service: Service, request: Request) -> Answer:
    """`GET /view/settings`: every setting as it is in effect, secrets masked."""
    if not Sight.of(request.caller, service.settings.server).everyone:
        raise RequestError(p.NOT_FOUND, "Only operators see the settings.")
    # As JSON, for options may be dates, or no number.
    values: dict[str, Any] = json.loads(service.settings.model_dump_json())
    listed = [
        {
            "table": path[0],
            "key": path[1],
            "value": shown(path, values[path[0]][path[1]]),
            "default": shown(path, field.get_default(call_default_factory=True)),
            "about": field.description,
        }
        for path, field in FIELDS.items()
        if len(path) > 1
    ]
    return json_answer({"settings": listed}, headers=PRIVATE)

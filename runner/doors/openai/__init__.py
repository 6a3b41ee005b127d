"""OpenAI's clients: `/v1/models`, chat completions, responses and conversations."""

from __future__ import annotations

from runner.api.openapi import Route
from runner.doors.door import Door
from runner.doors.openai.response_routes import ROUTES
from runner.settings import Settings


def routes(settings: Settings) -> tuple[Route, ...]:
    return ROUTES


DOOR = Door("openai", "any OpenAI client: base_url http://HOST/v1", routes)

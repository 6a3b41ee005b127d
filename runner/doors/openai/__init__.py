"""OpenAI's clients: `/v1/models`, chat completions, responses and conversations."""

from __future__ import annotations

from functools import partial

from runner.api.openapi import Route
from runner.api.operations import door
from runner.doors.door import Door
from runner.doors.openai.chat_completions import chat_completions
from runner.doors.openai.errors import refuse
from runner.doors.openai.models import model, models
from runner.doors.openai.response_routes import ROUTES
from runner.settings import Settings

_route = partial(Route, any_query=True, refuse=refuse)


def routes(settings: Settings) -> tuple[Route, ...]:
    return (
        _route("GET", "/v1/models", models, door("OpenAI: the models, which is the agent")),
        _route("GET", "/v1/models/{model}", model, door("OpenAI: a model")),
        _route("POST", "/v1/chat/completions", chat_completions,
               door("OpenAI: a chat completion", stream=True, body=True)),
        *ROUTES,
    )  # fmt: skip


DOOR = Door("openai", "any OpenAI client: base_url http://HOST/v1", routes)

"""`/v1/models`: the agent is the one model there is, whatever name a client asks for."""

from __future__ import annotations

from time import time
from typing import Any

from runner.api.exchange import Answer, Request, json_answer
from runner.api.problems import NOT_FOUND, RequestError
from runner.turns.service import Service

SINCE = int(time())


async def models(service: Service, request: Request) -> Answer:
    return json_answer({"object": "list", "data": [_model(service)]})


async def model(service: Service, request: Request) -> Answer:
    if request.params["model"] != service.settings.agent.id:
        raise RequestError(NOT_FOUND, f"The model here is {service.settings.agent.id!r}.")
    return json_answer(_model(service))


def _model(service: Service) -> dict[str, Any]:
    name = service.settings.agent.id
    return {"id": name, "object": "model", "created": SINCE, "owned_by": "turnline"}

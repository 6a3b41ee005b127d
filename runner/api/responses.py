"""Between Quart's requests and responses and ours."""

from __future__ import annotations

from quart import Response, request

from runner.api.problems import Answer

CALLER = "turnline.caller"
"""Where the edge puts the caller's name in a request's scope."""


def caller() -> str:
    """The name of whoever makes this request, "" for one without."""
    return str(dict(request.scope)[CALLER])


def to_response(answer: Answer) -> Response:
    return Response(answer.body, status=answer.status, headers=dict(answer.headers))

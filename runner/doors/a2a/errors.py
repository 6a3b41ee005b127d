"""Problems as JSON-RPC errors. They go with 200: of another status A2A's clients show nothing."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from typing import Any

from runner.api import problems as p
from runner.api.exchange import Answer, Headers, json_answer
from runner.api.problems import problem_text

INVALID_REQUEST = -32600
NO_METHOD = -32601
INVALID_PARAMS = -32602
INTERNAL = -32603
NO_TASK = -32001
NOT_CANCELABLE = -32002
NO_PUSH = -32003
UNSUPPORTED = -32004
CONTENT_TYPE = -32005
NO_EXTENDED_CARD = -32007
VERSION = -32009

CODES = {
    p.MALFORMED_JSON: -32700,
    p.MALFORMED_REQUEST: INVALID_REQUEST,
    p.NOT_JSON: INVALID_REQUEST,
    p.TOO_LARGE: INVALID_REQUEST,
    p.WRONG_FIELD: INVALID_PARAMS,
    p.KEY_REUSED: INVALID_PARAMS,
    p.NO_TURN: NO_TASK,
}
"""All others are -32603: A2A has no code for a line that is full. `data` says what it is."""

BY_TYPE = {cause.type: code for cause, code in CODES.items()}
WITH_STATUS = {
    cause.type: cause.status
    for cause in (p.UNAUTHORIZED, p.WRONG_HOST, p.NOT_FOUND, p.METHOD_NOT_ALLOWED)
}
"""What is said to strangers, and to who is no client of A2A, is said as HTTP says it."""


class RpcError(Exception):
    """A call that is refused with this code of A2A's."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


def refuse(document: Mapping[str, Any], headers: Headers) -> Answer:
    """To a call of which not even the id is known."""
    return refusal(None, document, headers, is_call=False)


def refusal(
    call_id: object, document: Mapping[str, Any], headers: Headers = (), *, is_call: bool = True
) -> Answer:
    head: Headers = (("turn-outcome", document["outcome"]), *headers)
    retry_after_s = document.get("retry_after_s")
    if retry_after_s is not None:
        head = (*head, ("retry-after", str(ceil(retry_after_s))))
    code = BY_TYPE.get(document["type"], INTERNAL)
    if code == INVALID_PARAMS and not is_call:
        code = INVALID_REQUEST
    error = {"code": code, "message": in_words(document), "data": details(document)}
    status = WITH_STATUS.get(document["type"], 200)
    return json_answer({"jsonrpc": "2.0", "id": call_id, "error": error}, status, head)


def refused(call_id: object, error: RpcError) -> Answer:
    told = {"code": error.code, "message": str(error)}
    return json_answer({"jsonrpc": "2.0", "id": call_id, "error": told})


def in_words(document: Mapping[str, Any]) -> str:
    """A problem, for a person."""
    where = f" ({document['pointer']})" if document.get("pointer") else ""
    return problem_text(document) + where


def details(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """As A2A wants them: Google's ErrorInfo, whose metadata are texts."""
    name = document["type"].rpartition(":")[2]
    known = ("outcome", "status", "retry_after_s", "turn_id", "conversation_id", "pointer")
    info = {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": name.upper().replace("-", "_"),
        "domain": "turnline",
        "metadata": {key: str(document[key]) for key in known if key in document},
    }
    if "retry_after_s" not in document:
        return [info]
    delay = f"{document['retry_after_s']}s"
    return [info, {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}]

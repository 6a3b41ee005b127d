"""JSON-RPC 2.0 as MCP has it: one message, which era it belongs to, and errors of the protocol.

Up to 2025-11-25 a client shakes hands (`initialize`) and names the version in a header from
then on. Since 2026-07-28 each request says in `params._meta` all that a handshake would have.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any, cast

from runner.api.exchange import Answer, Headers, Request, to_json
from runner.api.parsing import parse_fields
from runner.api.problems import problem_text
from runner.turns.service import Service

HANDSHAKE = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
MODERN = "2026-07-28"

META = "io.modelcontextprotocol/"

PARSE_ERROR, INVALID_REQUEST, NO_METHOD, INVALID_PARAMS, INTERNAL = (
    -32700, -32600, -32601, -32602, -32603,
)  # fmt: skip
HEADER_MISMATCH, NO_VERSION = -32020, -32022

STATUSES = {NO_METHOD: 404, INTERNAL: 500}
"""Of an error in the modern era, where it is not 400. Before, errors came with 200."""

LONGEST_ID = 256


class ProtocolError(Exception):
    """A message that is not MCP: told as an error of JSON-RPC. What a turn came to never is."""

    def __init__(self, code: int, message: str, data: object = None) -> None:
        super().__init__(message)
        self.document: dict[str, Any] = {"code": code, "message": message}
        if data is not None:
            self.document["data"] = data


@dataclass(frozen=True, slots=True)
class Message:
    """What a client sent.

    id       of a request; None for a notification.
    method   "" for an answer to a request of ours: there is none.
    session  what `Mcp-Session-Id` says, or b"".
    """

    id: str | int | None
    method: str
    params: Mapping[str, Any]
    is_modern: bool
    session: bytes

    @property
    def meta(self) -> Mapping[str, Any]:
        return as_object(self.params.get("_meta"))

    @property
    def progress_token(self) -> str | int | None:
        token = self.meta.get("progressToken")
        return token if is_id(token) else None


def as_object(value: object) -> Mapping[str, Any]:
    """The value where it is an object of JSON, else an empty one."""
    return cast("Mapping[str, Any]", value) if isinstance(value, dict) else {}


def is_id(value: object) -> bool:
    """Whether it can be the id of a request, and be told again as it came."""
    if isinstance(value, str):
        return len(value) <= LONGEST_ID and value.isprintable()  # Half a surrogate pair is not.
    return isinstance(value, int) and not isinstance(value, bool)


def parse(service: Service, request: Request) -> Message:
    """Raises RequestError, ProtocolError."""
    if request.body.lstrip()[:1] == b"[":
        raise ProtocolError(INVALID_REQUEST, "Send one message, not a batch.")
    fields = parse_fields(service, request)
    method, has_id = fields.get("method", ""), "id" in fields
    is_answer = not method and ("result" in fields or "error" in fields)
    if fields.get("jsonrpc") != "2.0" or not isinstance(method, str) or not (method or is_answer):
        raise ProtocolError(INVALID_REQUEST, 'Send {"jsonrpc": "2.0", "method": "...", ...}.')
    if has_id and not is_answer and not is_id(fields["id"]):
        detail = f"An id is a whole number or a text of at most {LONGEST_ID} characters."
        raise ProtocolError(INVALID_REQUEST, detail)
    params = as_object(fields.get("params"))
    is_modern = request.headers.get(b"mcp-protocol-version") == MODERN.encode()
    session = request.headers.get(b"mcp-session-id", b"")
    message_id = None if is_answer else fields.get("id")
    return Message(message_id, method, params, is_modern, session)


def check(message: Message, headers: Mapping[bytes, bytes]) -> None:
    """Raise ProtocolError for a request of another version, or one that contradicts itself."""
    version = headers.get(b"mcp-protocol-version")
    if not message.is_modern:
        if version is not None and version.decode("latin1") not in HANDSHAKE:
            raise unsupported(version.decode("latin1"))
        return
    for name in ("protocolVersion", "clientCapabilities"):
        if f"{META}{name}" not in message.meta:
            raise ProtocolError(INVALID_PARAMS, f"params._meta needs {META}{name}.")
    said = {b"mcp-protocol-version": message.meta[f"{META}protocolVersion"]}
    said[b"mcp-method"] = message.method
    if message.method == "tools/call":
        said[b"mcp-name"] = message.params.get("name")
    for header, value in said.items():
        if headers.get(header, b"").decode("latin1") != value:
            detail = f"The header {header.decode()} does not say what the body says."
            raise ProtocolError(HEADER_MISMATCH, detail)


def unsupported(version: str) -> ProtocolError:
    data = {"supported": [*HANDSHAKE, MODERN], "requested": version}
    return ProtocolError(NO_VERSION, "Unsupported protocol version", data)


# Answers.


def result_of(message: Message, result: Mapping[str, Any]) -> bytes:
    """The whole answer to a request."""
    if message.is_modern:
        result = {"resultType": "complete", **result}
    return to_json({"jsonrpc": "2.0", "id": message.id, "result": result})


def answer(message: Message, result: Mapping[str, Any], headers: Headers = ()) -> Answer:
    return _json(200, headers, result_of(message, result))


def error_answer(message: Message | None, error: ProtocolError) -> Answer:
    """`message` is None where it could not be read."""
    code = error.document["code"]
    status = STATUSES.get(code, 400)
    if message is not None and not message.is_modern and code != NO_VERSION:
        status = 200  # Clients of that era do not read an error that comes with another.
    return _error(status, (), None if message is None else message.id, error.document)


def refuse(document: Mapping[str, Any], headers: Headers) -> Answer:
    """A problem of the request itself, before anyone knew which message it is."""
    status = document["status"]
    code = INTERNAL if status >= 500 else INVALID_REQUEST
    if document["type"].endswith(":malformed-json"):
        code = PARSE_ERROR
    head = [("turn-outcome", document["outcome"]), *headers]
    if "retry_after_s" in document:
        head.append(("retry-after", str(ceil(document["retry_after_s"]))))
    words = problem_text(document)
    return _error(status, (*head,), None, {"code": code, "message": words, "data": document})


def _error(
    status: int, headers: Headers, message_id: str | int | None, error: Mapping[str, Any]
) -> Answer:
    return _json(status, headers, to_json({"jsonrpc": "2.0", "id": message_id, "error": error}))


def _json(status: int, headers: Headers, body: bytes) -> Answer:
    return Answer(status, (("content-type", "application/json"), *headers), body)

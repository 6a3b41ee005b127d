"""A call of JSON-RPC, and its result."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from runner.api.exchange import Answer, Headers, Request, Response, json_answer
from runner.turns.service import Service


@dataclass(frozen=True, slots=True)
class Call:
    id: object
    method: str
    params: Mapping[str, Any]


Method = Callable[[Service, Request, Call], Awaitable[Response]]


def result(call_id: object, content: object, headers: Headers = ()) -> Answer:
    return json_answer({"jsonrpc": "2.0", "id": call_id, "result": content}, headers=headers)

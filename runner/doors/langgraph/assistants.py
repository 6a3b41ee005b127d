"""Assistants: the one agent that is served. And what a client asks before it begins."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runner import __version__
from runner.api.exchange import Answer, Request, json_answer
from runner.api.parsing import parse_fields
from runner.doors.langgraph import documents
from runner.doors.langgraph.ids import check_assistant
from runner.doors.langgraph.paging import counted, listed
from runner.turns.service import Service


async def assistant_get(service: Service, request: Request) -> Answer:
    check_assistant(service, request.params["assistant_id"])
    return json_answer(documents.assistant(service.settings))


async def assistant_search(service: Service, request: Request) -> Answer:
    asked = parse_fields(service, request)
    return listed(_found(service, asked), asked)


async def assistant_count(service: Service, request: Request) -> Answer:
    return counted(_found(service, parse_fields(service, request)))


def _found(service: Service, asked: Mapping[str, Any]) -> list[documents.Document]:
    one = documents.assistant(service.settings)
    return [one] if _is_wanted(one, asked) else []


def _is_wanted(one: Mapping[str, Any], asked: Mapping[str, Any]) -> bool:
    name = asked.get("name")
    return (
        asked.get("graph_id") in (None, one["graph_id"])
        and not asked.get("metadata")
        and (not name or (isinstance(name, str) and name.lower() in one["name"].lower()))
    )


async def langgraph_info(service: Service, request: Request) -> Answer:
    return json_answer({"version": __version__, "flags": {"assistants": True, "crons": False}})


async def langgraph_ok(service: Service, request: Request) -> Answer:
    return json_answer({"ok": True})

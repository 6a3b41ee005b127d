"""Runs: a turn each, awaited, streamed, or asked for later."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import cast
from urllib.parse import parse_qs

from runner.api.asking import ask
from runner.api.exchange import Answer, Request, Response, json_answer, to_json
from runner.api.parsing import parse_fields
from runner.api.problems import wrong_field
from runner.api.stream import EventStream
from runner.callers import scoped
from runner.doors.langgraph import documents
from runner.doors.langgraph.asked import parse_run
from runner.doors.langgraph.closing import Closing
from runner.doors.langgraph.ids import find_run, parse_thread
from runner.doors.langgraph.paging import listed
from runner.doors.langgraph.telling import (
    MODES,
    CreatedForm,
    NoWords,
    RunForm,
    RunWords,
    last_events,
)
from runner.turns.events import Cursor
from runner.turns.live_turn import LiveTurn
from runner.turns.service import Service

MODE_IS = f"stream_mode is one of {', '.join(MODES)}, or a list that has one of them."


async def run_create(service: Service, request: Request) -> Response:
    fields = parse_fields(service, request)
    submission = replace(await parse_run(service, request, fields), respond_async=True)
    return await ask(service, request, submission, CreatedForm(service))


async def run_wait(service: Service, request: Request) -> Response:
    fields = parse_fields(service, request)
    submission = await parse_run(service, request, fields, stream=True)
    response = await ask(service, request, submission, RunForm(service))
    return _document(response) if isinstance(response, EventStream) else response


async def run_stream(service: Service, request: Request) -> Response:
    fields = parse_fields(service, request)
    modes = _modes(fields.get("stream_mode", "values"))
    submission = await parse_run(service, request, fields, stream=True)
    response = await ask(service, request, submission, RunForm(service, modes))
    return _events(response, modes) if isinstance(response, EventStream) else response


# Without a thread: each has a new one, and an operation has one name.


async def stateless_create(service: Service, request: Request) -> Response:
    return await run_create(service, request)


async def stateless_wait(service: Service, request: Request) -> Response:
    return await run_wait(service, request)


async def stateless_stream(service: Service, request: Request) -> Response:
    return await run_stream(service, request)


async def run_get(service: Service, request: Request) -> Answer:
    return json_answer(documents.run(service, await find_run(service, request)))


async def run_list(service: Service, request: Request) -> Answer:
    """Those that have not ended, the newest first: the others are found by their ids alone."""
    own = parse_thread(service, request)
    known = await service.conversation(scoped(request.caller, own))
    line = known.line if known is not None else ()
    runs = [documents.run(service, live) for live in reversed(line)]
    if status := request.query.get("status"):
        runs = [one for one in runs if one["status"] == status]
    return listed(runs, request.query)


async def run_join(service: Service, request: Request) -> Response:
    live = await find_run(service, request)
    return _document(EventStream(service, live, Cursor(), NoWords(service, live)))


async def run_join_stream(service: Service, request: Request) -> Response:
    live = await find_run(service, request)
    query = parse_qs(request.scope["query_string"].decode("latin1"))
    modes = _modes(query.get("stream_mode", [*MODES]))
    last_id = request.headers.get(b"last-event-id", b"").decode("latin1")
    words = RunWords(service, live, modes, is_again=bool(last_id))
    stream = EventStream(service, live, Cursor.after(last_id, live), words)
    cancels = query.get("cancel_on_disconnect", [""])[0].lower() in ("true", "1")
    return _events(stream, modes, cancels=cancels)


async def run_cancel(service: Service, request: Request) -> Answer:
    """Either action: nothing of a run that was stopped is kept here."""
    live = await find_run(service, request)
    await service.cancel(live)
    waits = request.query.get("wait", "").lower() in ("1", "true")
    return Answer(200 if waits else 202, (("content-type", "application/json"),), b"null")


def _document(stream: EventStream) -> Closing:
    end = partial(_values, stream.service, stream.live)
    return Closing(stream, end, content_type=b"application/json")


async def _values(service: Service, live: LiveTurn) -> bytes:
    return to_json(await documents.values(service, live))


def _events(stream: EventStream, modes: tuple[str, ...], *, cancels: bool = False) -> Closing:
    end = partial(last_events, stream.service, stream.live, modes)
    return Closing(stream, end, cancels=cancels)


def _modes(asked: object) -> tuple[str, ...]:
    """Those that there are: its clients' pages ask for all that they can show."""
    named = cast("list[object]", asked) if isinstance(asked, list) else [asked]
    modes = tuple(mode for mode in MODES if mode in named)
    if not modes:
        raise wrong_field("/stream_mode", MODE_IS)
    return modes

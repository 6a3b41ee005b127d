"""`/mcp`: one message for each POST, and what is answered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from secrets import token_hex
from typing import Any

from runner import __version__
from runner.api.asking import ask
from runner.api.exchange import Answer, Headers, Request, Response
from runner.api.handlers import find_turn
from runner.api.problems import (
    MALFORMED_REQUEST,
    METHOD_NOT_ALLOWED,
    Cause,
    RequestError,
    refusal_of,
)
from runner.api.stream import EventStream
from runner.doors.mcp import protocol, results, tools
from runner.doors.mcp.ongoing import Calls, Ongoing
from runner.doors.mcp.progress import CallWords, Place
from runner.doors.mcp.protocol import HANDSHAKE, MODERN, Message, ProtocolError, answer
from runner.turns.events import Cursor
from runner.turns.live_turn import LiveTurn
from runner.turns.service import Service
from strategies import TurnError

FOREIGN = Cause(403, "foreign-origin", "Pages of this origin may not call")
NO_STREAM = (
    "There is no stream to open: each POST is answered by itself. A GET is for taking up one "
    "that was cut, with Last-Event-ID."
)
INSTRUCTIONS = "`ask` sends a message to the agent; `resume` answers what it asked of a person."

CAPABILITIES: Mapping[str, object] = {"tools": {}}
SERVER = {"name": "turnline", "title": "Turnline", "version": __version__}


class Endpoint:
    """The handlers. They keep nothing but which calls are being answered."""

    def __init__(self) -> None:
        self._calls = Calls()

    async def mcp(self, service: Service, request: Request) -> Response:
        check_origin(service, request)
        message: Message | None = None
        try:
            message = protocol.parse(service, request)
            if message.id is None:
                if message.method == "notifications/cancelled":
                    await self._calls.cancel(service, request.caller, message)
                return Answer(202)
            return await self._answer(service, request, message)
        except ProtocolError as error:
            return protocol.error_answer(message, error)

    async def mcp_stream(self, service: Service, request: Request) -> Response:
        check_origin(service, request)
        if b"last-event-id" not in request.headers:
            raise RequestError(METHOD_NOT_ALLOWED, NO_STREAM, (("allow", "POST, DELETE"),))
        place = Place.parse(request.headers[b"last-event-id"])
        if place is None:
            raise RequestError(MALFORMED_REQUEST, "Last-Event-ID is none of these streams'.")
        live = await find_turn(service, replace(request, params={"turn_id": place.turn_id}))
        session = request.headers.get(b"mcp-session-id", b"")
        message = Message(place.call_id, "tools/call", {}, is_modern=False, session=session)
        ongoing = self._calls.begin(request.caller, message, live.turn.id)
        words = CallWords(service, live, message, place.token, ongoing, place.told, resumes=True)
        return EventStream(service, live, Cursor.after(place.event_id, live), words)

    async def mcp_end(self, service: Service, request: Request) -> Answer:
        """A session is a name and nothing else, so nothing ends."""
        check_origin(service, request)
        return Answer(204)

    async def _answer(self, service: Service, request: Request, message: Message) -> Response:
        if message.method == "initialize" and not message.is_modern:
            return _initialize(message)
        protocol.check(message, request.headers)
        match message.method:
            case "tools/call":
                return await self._call(service, request, message)
            case "tools/list":
                fresh = {"ttlMs": 0, "cacheScope": "private"} if message.is_modern else {}
                return answer(message, {"tools": tools.listed(service), **fresh})
            case "server/discover" if message.is_modern:
                return _discover(message)
            case "ping":
                return answer(message, {})
            case method:
                raise ProtocolError(protocol.NO_METHOD, f"There is no method {method!r:.100}")

    async def _call(self, service: Service, request: Request, message: Message) -> Response:
        try:
            submission = tools.parse_call(service, request, message)
            ongoing = self._calls.begin(request.caller, message, submission.turn.id)
            return await ask(service, request, submission, CallForm(service, message, ongoing))
        except (RequestError, TurnError) as error:
            problem = refusal_of(error, request.scope["path"]).document
            return answer(message, results.failed(problem))


@dataclass(frozen=True, slots=True)
class CallForm:
    """A turn as the result of a call."""

    service: Service
    message: Message
    ongoing: Ongoing

    def ended(self, live: LiveTurn, headers: Headers) -> Answer:
        return answer(self.message, results.ended(self.service, live, self.message), headers)

    def accepted(self, live: LiveTurn, headers: Headers) -> Answer:
        return answer(self.message, results.accepted(live), headers)

    def words(self, live: LiveTurn) -> CallWords:
        token = self.message.progress_token
        assert token is not None  # Without one no stream is asked for.
        self.ongoing.turn_id = live.turn.id
        return CallWords(self.service, live, self.message, token, self.ongoing)


def _initialize(message: Message) -> Answer:
    asked = message.params.get("protocolVersion")
    result: dict[str, Any] = {
        "protocolVersion": asked if asked in HANDSHAKE else HANDSHAKE[-1],
        "capabilities": CAPABILITIES,
        "serverInfo": SERVER,
        "instructions": INSTRUCTIONS,
    }
    return answer(message, result, (("mcp-session-id", token_hex(16)),))


def _discover(message: Message) -> Answer:
    result: dict[str, Any] = {
        "supportedVersions": [MODERN],
        "capabilities": CAPABILITIES,
        "instructions": INSTRUCTIONS,
        "ttlMs": 0,
        "cacheScope": "private",
        "_meta": {f"{protocol.META}serverInfo": SERVER},
    }
    return answer(message, result)


def check_origin(service: Service, request: Request) -> None:
    """MCP wants it, beside what `Host` and CORS guard: of web pages only those that may call.

    A page of this server itself names in `Origin` what its request has in `Host`.
    """
    origin = request.headers.get(b"origin", b"").decode("latin1")
    allowed = service.settings.server.cors_origins
    if not origin or "*" in allowed or origin in allowed:
        return
    if origin.partition("://")[2] == request.headers.get(b"host", b"").decode("latin1"):
        return
    detail = "Add this page's origin to [server] cors_origins, if it is to call."
    raise RequestError(FOREIGN, detail)

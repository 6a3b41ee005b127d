"""The outermost layer: what is settled before any handler sees a request.

Every body is read here, bounded, before anything is answered; so no handler
behind reads one, and an answer never overtakes a body that still arrives.
"""

from __future__ import annotations

import hmac
import re

import structlog

from runner.api.asgi import App, Receive, Scope, Send, send_answer
from runner.api.body import ClientLeft, read_body
from runner.api.chat import answer_chat
from runner.api.cors import with_cors
from runner.api.parsing import parse_asking
from runner.api.problems import (
    INTERNAL,
    MALFORMED_REQUEST,
    METHOD_NOT_ALLOWED,
    UNAUTHORIZED,
    WRONG_FIELD,
    Answer,
    RequestError,
    problem,
    request_problem,
    turn_problem,
)
from runner.api.responses import CALLER
from runner.api.stream import resume_events
from runner.api.turns import find_turn
from runner.callers import split
from runner.service import Service
from strategies import TurnError

EVENTS = re.compile(r"/turns/([^/]+)/events")

OPEN_PATHS = frozenset({"/health/live", "/health/ready", "/openapi.json", "/docs"})
"""Probes come without a token, and so do those who read how to ask."""

log = structlog.get_logger(__name__)


class Edge:
    """An ASGI app: `POST /chat` and event streams are answered here, everything else by `inner`."""

    def __init__(self, service: Service, inner: App) -> None:
        self._service = service
        self._inner = inner
        self._settings = service.settings.server
        self._callers = [
            (token.encode(), caller) for token, caller in self._settings.callers.items()
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._inner(scope, receive, send)
            return
        if self._settings.cors_origins:
            send = with_cors(self._settings.cors_origins, scope, send)
        self._service.requests_in_flight += 1
        began = False

        async def note(message: object) -> None:
            nonlocal began
            began = True
            await send(message)

        try:
            await self._respond(scope, receive, note)
        except RequestError as error:
            await send_answer(send, request_problem(error))
        except TurnError as error:
            await send_answer(send, turn_problem(error))
        except ClientLeft:
            pass
        except Exception:
            log.exception("request failed", path=scope["path"])
            if not began:
                detail = "The log has the reason."
                await send_answer(send, problem(INTERNAL, detail, outcome="unknown"))
        finally:
            self._service.requests_in_flight -= 1

    async def _respond(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await self._read(scope, receive)
        if scope["method"] == "OPTIONS" and self._settings.cors_origins:
            await send_answer(send, Answer(204, (), b""))
            return
        if scope["path"] not in OPEN_PATHS:
            scope[CALLER] = self._caller(dict(scope["headers"]))
        events = EVENTS.fullmatch(scope["path"])
        if scope["path"] == "/chat":
            await self._chat(scope, body, receive, send)
        elif events:
            if scope["method"] != "GET":
                detail = "Read the events of a turn with GET."
                raise RequestError(METHOD_NOT_ALLOWED, detail, headers=(("allow", "GET"),))
            live = await find_turn(self._service, scope[CALLER], events[1])
            last = dict(scope["headers"]).get(b"last-event-id", b"").decode("latin1")
            await resume_events(self._service, live, last, receive, send)
        else:
            await self._inner(scope, _no_body(receive), send)

    async def _read(self, scope: Scope, receive: Receive) -> bytes:
        """The body, whatever it is for; RFC 9112 6.1 calls one with both lengths an attack."""
        body = await read_body(
            receive,
            max_bytes=self._settings.max_body_bytes,
            timeout_s=self._settings.body_timeout_s,
        )
        names = {name for name, _ in scope["headers"]}
        if b"content-length" in names and b"transfer-encoding" in names:
            detail = "Send Content-Length or Transfer-Encoding, not both."
            raise RequestError(MALFORMED_REQUEST, detail, headers=(("connection", "close"),))
        return body

    def _caller(self, headers: dict[bytes, bytes]) -> str:
        """The caller's name, "" for one without. Raises RequestError for a stranger."""
        if not self._callers:
            return ""
        scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
        # All of them, always: the time taken must not tell which one was close.
        matches = [
            caller for known, caller in self._callers if hmac.compare_digest(token.strip(), known)
        ]
        if scheme.lower() != b"bearer" or not matches:
            detail = "Send the header Authorization: Bearer TOKEN with one of the server's tokens."
            raise RequestError(UNAUTHORIZED, detail, headers=(("www-authenticate", "Bearer"),))
        return matches[0]

    async def _chat(self, scope: Scope, body: bytes, receive: Receive, send: Send) -> None:
        if scope["method"] != "POST":
            detail = "Send a message with POST /chat."
            raise RequestError(METHOD_NOT_ALLOWED, detail, headers=(("allow", "POST"),))
        asking = parse_asking(scope["headers"], body, self._service.settings, scope[CALLER])
        check_conversation(self._service, split(asking.turn.conversation)[1])
        await answer_chat(self._service, asking, receive, send)


def check_conversation(service: Service, conversation: str) -> None:
    """Raise RequestError for a conversation that this agent cannot have."""
    if service.desk.agent.about.single_conversation and conversation != "default":
        detail = (
            "This agent is one object with one history, so there is one conversation, `default`. "
            "Serve its class or a factory to have one for each."
        )
        raise RequestError(WRONG_FIELD, detail, pointer="/conversation_id")


def _no_body(receive: Receive) -> Receive:
    """`receive` for a handler behind: the body was read here, and nothing is left of it."""
    done = False

    async def receive_rest() -> object:
        nonlocal done
        if not done:
            done = True
            return {"type": "http.request", "body": b"", "more_body": False}
        return await receive()

    return receive_rest

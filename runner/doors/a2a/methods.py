"""JSON-RPC: from a call to its result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from runner.api.asking import ask
from runner.api.body import ClientLeft
from runner.api.exchange import Answer, Headers, Request, Response
from runner.api.parsing import make_submission, parse_fields
from runner.api.problems import refusal_of
from runner.api.stream import HEADERS, EventStream
from runner.doors.a2a import errors, push
from runner.doors.a2a.call import Call, Method, result
from runner.doors.a2a.card import VERSION, describe
from runner.doors.a2a.errors import RpcError
from runner.doors.a2a.listing import list_tasks
from runner.doors.a2a.message import object_of, parse_message
from runner.doors.a2a.tasks import INPUT_REQUIRED, TaskEvents, find_task, task
from runner.turns.events import Cursor
from runner.turns.live_turn import LiveTurn
from runner.turns.service import Service
from strategies import State

NOTIFIED = "/params/configuration/taskPushNotificationConfig"
OTHER_VERSION = "This agent speaks A2A {}, and not {:.32}."
NO_METHOD = "There is no method {!r:.64}; this agent speaks A2A {}."


async def a2a_call(service: Service, request: Request) -> Response:
    """The result, or the error, of one call."""
    fields = parse_fields(service, request)
    call_id = _id(fields.get("id"))
    try:
        call = _parse(request, fields, call_id)
        return await _method(call.method)(service, request, call)
    except ClientLeft:
        raise
    except RpcError as error:
        return errors.refused(call_id, error)
    except Exception as error:
        refusal = refusal_of(error, request.scope["path"])
        return errors.refusal(call_id, refusal.document, refusal.headers)


def _id(sent: object) -> str | int | None:
    """Of a call, as it can be sent again: JSON has half a surrogate pair, and UTF-8 has not."""
    if isinstance(sent, str):
        return sent.encode(errors="replace").decode()
    return sent if isinstance(sent, int) else None


def _parse(request: Request, fields: Mapping[str, Any], call_id: object) -> Call:
    method = fields.get("method")
    if fields.get("jsonrpc") != "2.0" or not isinstance(method, str):
        raise RpcError(errors.INVALID_REQUEST, 'A call is {"jsonrpc": "2.0", "id", "method", ...}.')
    version = request.headers.get(b"a2a-version", b"").decode("latin1").strip()
    if version not in ("", VERSION):
        raise RpcError(errors.VERSION, OTHER_VERSION.format(VERSION, version))
    if not isinstance(fields.get("params", {}), dict):
        raise RpcError(errors.INVALID_PARAMS, "The params are an object.")
    return Call(call_id, method, object_of(fields.get("params")))


def _method(name: str) -> Method:
    if name not in METHODS:
        raise RpcError(errors.NO_METHOD, NO_METHOD.format(name, VERSION))
    return METHODS[name]


# The methods.


async def _send(service: Service, request: Request, call: Call) -> Response:
    return await _ask(service, request, call, is_stream=False)


async def _stream(service: Service, request: Request, call: Call) -> Response:
    return await _ask(service, request, call, is_stream=True)


async def _ask(service: Service, request: Request, call: Call, *, is_stream: bool) -> Response:
    wanted = object_of(call.params.get("configuration"))
    sent = await parse_message(service, request, call.params)
    submission = make_submission(
        service, request, sent.context, sent.message, sent.content, stream=is_stream
    )
    if is_stream or wanted.get("returnImmediately") is True:
        # Its client may come back for the task, which it has been told of by then.
        submission = replace(submission, respond_async=True)
    if (notified := wanted.get("taskPushNotificationConfig")) is not None:
        webhook = push.parse_push(notified, service.settings.webhook, NOTIFIED)
        # Whoever waits to be called need not stay.
        submission = replace(submission, on_disconnect="continue", webhook=webhook.text)
    return await ask(service, request, submission, TaskForm(service, call.id, is_stream))


async def _get(service: Service, request: Request, call: Call) -> Response:
    live = await find_task(service, request, call.params.get("id"))
    return result(call.id, task(service, live))


async def _cancel(service: Service, request: Request, call: Call) -> Response:
    live = await find_task(service, request, call.params.get("id"))
    await service.cancel(live)
    if live.ending is not None and live.state not in (State.CANCELLED, State.INTERRUPTED):
        raise RpcError(errors.NOT_CANCELABLE, "The task has ended already, and stays as it is.")
    return result(call.id, task(service, live))


async def _subscribe(service: Service, request: Request, call: Call) -> Response:
    """From its beginning: what it has said by now is told again."""
    live = await find_task(service, request, call.params.get("id"))
    is_open = task(service, live)["status"]["state"] == INPUT_REQUIRED
    if live.ending is not None and not is_open:
        raise RpcError(errors.UNSUPPORTED, "The task has ended. Ask for it with GetTask.")
    return EventStream(service, live, Cursor(), TaskEvents(service, live, call.id))


async def _card(service: Service, request: Request, call: Call) -> Response:
    if not service.settings.server.tokens:
        raise RpcError(errors.NO_EXTENDED_CARD, "The public card says everything.")
    return result(call.id, describe(service, request, is_whole=True))


METHODS: Mapping[str, Method] = {
    "SendMessage": _send,
    "SendStreamingMessage": _stream,
    "GetTask": _get,
    "ListTasks": list_tasks,
    "CancelTask": _cancel,
    "SubscribeToTask": _subscribe,
    "GetExtendedAgentCard": _card,
    **push.METHODS,
}


@dataclass(frozen=True, slots=True)
class TaskForm:
    service: Service
    call_id: object
    is_stream: bool

    def ended(self, live: LiveTurn, headers: Headers) -> Answer:
        """A turn that is quick ends before it could have been promised: its stream is whole."""
        if not self.is_stream:
            return self.accepted(live, headers)
        words = self.words(live)
        told = b"".join(map(words.encode, Cursor().all_new(live)))
        return Answer(200, (*HEADERS, *words.headers, *headers), told)

    def accepted(self, live: LiveTurn, headers: Headers) -> Answer:
        content = {"task": task(self.service, live)}
        return result(self.call_id, content, (*headers, ("location", f"/turns/{live.turn.id}")))

    def words(self, live: LiveTurn) -> TaskEvents:
        return TaskEvents(self.service, live, self.call_id)

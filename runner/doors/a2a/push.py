"""Push notifications: a task's one webhook, which tells of its end in A2A's words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from runner.api.exchange import Request, Response, to_json
from runner.api.problems import wrong_field
from runner.doors.a2a import errors
from runner.doors.a2a.call import Call, Method, result
from runner.doors.a2a.errors import RpcError
from runner.doors.a2a.message import object_of
from runner.doors.a2a.tasks import find_task, task
from runner.settings import WebhookSettings
from runner.turns.live_turn import LiveTurn
from runner.turns.service import Service
from runner.webhooks.address import NONE_ALLOWED, NotAllowed, Target
from runner.webhooks.wanted import Wanted

Fields = Mapping[str, Any]

FORM = "a2a"
MEDIA_TYPE = "application/a2a+json"

VISIBLE = re.compile(r"[!-~](?:[ -~]{0,4000}[!-~])?")
SCHEME = re.compile(r"[A-Za-z0-9._-]{1,64}")

ID_IS = "An id is a text of 1 to 128 characters that can be seen."
TOKEN_IS = "A token is a text of characters that can be seen."
AUTHENTICATION_IS = "Authentication is a scheme, such as Bearer, and the credentials to send."
ONE = "A task has one push notification, and this has another already: delete that first."
TOO_LATE = (
    "The task has ended, or it is not kept, as it was neither streamed nor answered at once. Ask "
    "for it with GetTask."
)
NO_CONFIG = "The task has no such push notification; what was delivered is not kept either."


def parse_push(sent: object, settings: WebhookSettings, pointer: str) -> Wanted:
    """Raises RequestError, RpcError."""
    _check_allowed(settings)
    config = object_of(sent)
    url = config.get("url")
    try:
        Target.parse(url if isinstance(url, str) else "", settings)
    except NotAllowed as error:
        raise wrong_field(f"{pointer}/url", str(error)) from error
    own_id = _text(config.get("id") or None, f"{pointer}/id", ID_IS)
    if len(own_id) > 128:
        raise wrong_field(f"{pointer}/id", ID_IS)
    return Wanted(str(url), FORM, own_id, _headers(config, pointer))


def tell(service: Service, live: LiveTurn) -> bytes:
    """The notification: a StreamResponse with the whole task."""
    return to_json({"task": task(service, live)})


def _headers(config: Fields, pointer: str) -> dict[str, str]:
    headers = {"content-type": MEDIA_TYPE}
    if token := _text(config.get("token") or None, f"{pointer}/token", TOKEN_IS):
        headers["x-a2a-notification-token"] = token
    if config.get("authentication") is not None:
        said, where = object_of(config["authentication"]), f"{pointer}/authentication"
        scheme = str(said.get("scheme"))
        credentials = _text(said.get("credentials"), where, AUTHENTICATION_IS)
        if not credentials or "scheme" not in said or SCHEME.fullmatch(scheme) is None:
            raise wrong_field(where, AUTHENTICATION_IS)
        headers["authorization"] = f"{scheme} {credentials}"
    return headers


def _text(value: object, pointer: str, is_what: str) -> str:
    """As it can stand in a header; "" for None."""
    if value is not None and not (isinstance(value, str) and VISIBLE.fullmatch(value)):
        raise wrong_field(pointer, is_what)
    return value or ""


# The methods.


async def _create(service: Service, request: Request, call: Call) -> Response:
    wanted = parse_push(call.params, service.settings.webhook, "/params")
    live = await find_task(service, request, call.params.get("taskId"))
    there = await service.webhooks.wanted(live)
    if there is not None and (there.form != FORM or _id(live, there) != _id(live, wanted)):
        raise RpcError(errors.UNSUPPORTED, ONE)
    if not await service.webhooks.want(live, wanted):
        raise RpcError(errors.UNSUPPORTED, TOO_LATE)
    return result(call.id, _config(live, wanted))


async def _get(service: Service, request: Request, call: Call) -> Response:
    live, there = await _find(service, request, call)
    if there is None or _id(live, there) != call.params.get("id"):
        raise RpcError(errors.NO_TASK, NO_CONFIG)
    return result(call.id, _config(live, there))


async def _list(service: Service, request: Request, call: Call) -> Response:
    live, there = await _find(service, request, call)
    configs = [] if there is None else [_config(live, there)]
    return result(call.id, {"configs": configs, "nextPageToken": ""})


async def _delete(service: Service, request: Request, call: Call) -> Response:
    """Of one that there is not, too."""
    live, there = await _find(service, request, call)
    if there is not None and _id(live, there) == call.params.get("id"):
        await service.webhooks.want_none(live)
    return result(call.id, {})


METHODS: Mapping[str, Method] = {
    "CreateTaskPushNotificationConfig": _create,
    "GetTaskPushNotificationConfig": _get,
    "ListTaskPushNotificationConfigs": _list,
    "DeleteTaskPushNotificationConfig": _delete,
}


async def _find(service: Service, request: Request, call: Call) -> tuple[LiveTurn, Wanted | None]:
    """The task, and its push notification, where it has one of this door's."""
    _check_allowed(service.settings.webhook)
    live = await find_task(service, request, call.params.get("taskId"))
    there = await service.webhooks.wanted(live)
    return live, there if there is not None and there.form == FORM else None


def _check_allowed(settings: WebhookSettings) -> None:
    if not settings.allowed_hosts:
        raise RpcError(errors.NO_PUSH, NONE_ALLOWED)


def _id(live: LiveTurn, wanted: Wanted) -> str:
    """The client's, or the task's: it has no other."""
    return wanted.id or live.turn.id


def _config(live: LiveTurn, wanted: Wanted) -> dict[str, Any]:
    """Without the token and the credentials, which are secrets."""
    shown: dict[str, Any] = {"taskId": live.turn.id, "id": _id(live, wanted), "url": wanted.url}
    if authorization := wanted.headers.get("authorization"):
        shown["authentication"] = {"scheme": authorization.partition(" ")[0]}
    return shown

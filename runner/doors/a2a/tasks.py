"""A turn as a task of A2A, and its events as those of a task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pydantic_core import from_json

from runner.api import documents, handlers
from runner.api.exchange import Headers, Request, to_json
from runner.api.problems import NO_TURN, RequestError
from runner.api.stream import event
from runner.callers import own_id
from runner.doors.a2a.errors import in_words
from runner.turns.ending import is_for_later
from runner.turns.events import Event
from runner.turns.live_turn import LiveTurn
from runner.turns.service import Service
from strategies import State

STATES = {
    State.WAITING: "TASK_STATE_SUBMITTED",
    State.RUNNING: "TASK_STATE_WORKING",
    State.ANSWERED: "TASK_STATE_COMPLETED",
    State.FAILED: "TASK_STATE_FAILED",
    State.CANCELLED: "TASK_STATE_CANCELED",
    State.INTERRUPTED: "TASK_STATE_CANCELED",
    State.EXPIRED: "TASK_STATE_REJECTED",
    State.REFUSED: "TASK_STATE_REJECTED",
}
"""Rejected are those that the agent was never called for."""

INPUT_REQUIRED = "TASK_STATE_INPUT_REQUIRED"


async def find_task(service: Service, request: Request, task_id: object) -> LiveTurn:
    """The caller's turn. Raises RequestError for any other."""
    if not isinstance(task_id, str):
        raise RequestError(NO_TURN, "A task's id is a text.")
    return await handlers.find_turn(service, replace(request, params={"turn_id": task_id}))


def task(service: Service, live: LiveTurn) -> dict[str, Any]:
    """As it is now."""
    shown = _shown(service, live)
    content: dict[str, Any] = {**_names(live, "id"), "status": _status(service, live)}
    if "response" in shown and shown.get("status") != "input_required":
        content["artifacts"] = [_artifact(live, _parts(shown))]
    content["metadata"] = _standing(service, live)
    return content


class TaskEvents:
    """`Words` of one stream: each event is a whole response to the call."""

    def __init__(self, service: Service, live: LiveTurn, call_id: object) -> None:
        self._service = service
        self._live = live
        self._call_id = call_id
        self._has_text = False
        self._is_begun = False

    @property
    def headers(self) -> Headers:
        return (("location", f"/turns/{self._live.turn.id}"),)

    def opening(self) -> bytes:
        return b""

    def encode(self, told: Event) -> bytes:
        opening = b"" if self._is_begun else self._first(told)
        self._is_begun = True
        return opening + self._event(told)

    def _first(self, told: Event) -> bytes:
        """Of one that has ended already, the task that it was before: its events follow."""
        state = "TASK_STATE_SUBMITTED" if told.kind == "queued" else "TASK_STATE_WORKING"
        begun = {**_names(self._live, "id"), "status": {"state": state}}
        return self._result("task", begun)

    def _event(self, told: Event) -> bytes:
        match told.kind:
            case "queued" | "position":
                standing = documents.standing(self._live)
                place = {"position": standing["position"], "eta_s": standing["eta_s"]}
                return self._update({"state": "TASK_STATE_SUBMITTED"}, place)
            case "started":
                self._has_text = False
                metadata = {"attempt": self._live.attempts}
                return self._update({"state": "TASK_STATE_WORKING"}, metadata)
            case "delta":
                return self._piece({"text": told.text})
            case "told":
                assert told.told is not None
                said = {str(told.told.kind): from_json(told.told.data)}
                return self._update({"state": "TASK_STATE_WORKING"}, said)
            case "end":
                return self._end()

    def _piece(self, part: dict[str, Any]) -> bytes:
        """An attempt's first piece takes the place of what an earlier one has said."""
        append, self._has_text = self._has_text, True
        piece = {"append": append, "artifact": _artifact(self._live, [part])}
        return self._result("artifactUpdate", {**_names(self._live), **piece})

    def _end(self) -> bytes:
        shown = _shown(self._service, self._live)
        output = b""
        if "output" in shown:
            output = self._piece({"data": shown["output"], "mediaType": "application/json"})
        status = _status(self._service, self._live)
        return output + self._update(status, _standing(self._service, self._live))

    def _update(self, status: Mapping[str, Any], metadata: Mapping[str, Any]) -> bytes:
        update = {**_names(self._live), "status": status, "metadata": metadata}
        return self._result("statusUpdate", update)

    def _result(self, kind: str, content: object) -> bytes:
        return event(to_json({"jsonrpc": "2.0", "id": self._call_id, "result": {kind: content}}))


def _shown(service: Service, live: LiveTurn) -> dict[str, Any]:
    return {**documents.turn(service, live)}


def _names(live: LiveTurn, own: str = "taskId") -> dict[str, str]:
    return {own: live.turn.id, "contextId": own_id(live.turn.conversation)}


def _artifact(live: LiveTurn, parts: list[dict[str, Any]]) -> dict[str, Any]:
    return {"artifactId": f"{live.turn.id}-reply", "name": "reply", "parts": parts}


def _parts(shown: Mapping[str, Any]) -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = [{"text": shown["response"]}]
    if "output" in shown:
        parts.append({"data": shown["output"], "mediaType": "application/json"})
    return parts


def _status(service: Service, live: LiveTurn) -> dict[str, Any]:
    """Its state, with words where it ended without a reply or needs a person."""
    shown = _shown(service, live)
    if problem := shown.get("problem"):
        words = [{"text": in_words(problem)}]
        state = STATES[State.WAITING if is_for_later(live.ending) else live.state]
        return {"state": state, "message": _message(live, words)}
    if requests := shown.get("requests"):
        texts = [shown["response"], *(_asked(one) for one in requests)]
        asked = {"data": {"requests": requests}, "mediaType": "application/json"}
        parts: list[dict[str, Any]] = [{"text": "\n".join(filter(None, texts))}, asked]
        return {"state": INPUT_REQUIRED, "message": _message(live, parts)}
    return {"state": STATES[live.state]}


def _asked(request: Mapping[str, Any]) -> str:
    return str(request.get("prompt") or f"May {request.get('name', 'it')} be used?")


def _message(live: LiveTurn, parts: list[dict[str, Any]]) -> dict[str, Any]:
    said = {"messageId": f"{live.turn.id}-status", "role": "ROLE_AGENT", "parts": parts}
    return {**said, **_names(live)}


def _standing(service: Service, live: LiveTurn) -> dict[str, Any]:
    """What A2A has no field for."""
    shown = _shown(service, live)
    known = ("position", "eta_s", "attempt", "waited_ms", "ran_ms", "turn", "outcome")
    found = {name: shown[name] for name in known if shown.get(name) is not None}
    problem: Mapping[str, Any] = shown.get("problem") or {}
    return found | {name: problem[name] for name in ("type", "retry_after_s") if name in problem}

"""Adapts agents, workflows and apps of Google's Agent Development Kit (ADK).

The state is the list of a session's events, from which its `state` follows; `user:` and `app:`
keys too are of the one conversation. There is no artifact and no memory service: a tool that
asks for one fails. Its user is `user`.

A refusal reaches the model in the framework's words: there is no place for a reason. Tools that
are no coroutines run on the event loop, and hold up everyone while they work.
"""

from __future__ import annotations

from base64 import b64decode
from contextlib import aclosing, suppress
from mimetypes import guess_type
from typing import Any, cast

from runner.agents.base import Answered, Asked, Emit, Json, Part
from runner.agents.frameworks.framework import Framework, InThread, load
from runner.agents.frameworks.google_adk.events import CONFIRMATION, Telling
from runner.agents.requests import Decision

APP = ("google.adk.apps.app", "App")
AGENT = ("google.adk.agents.base_agent", "BaseAgent")
NODE = ("google.adk.workflow._base_node", "BaseNode")

# The first run imports them, and the event loop stands still for seconds.
LATE = ("google.adk.workflow._workflow", "google.adk.flows.llm_flows.auto_flow")


class GoogleAdkAdapter:
    def __init__(self, target: Any, role: str) -> None:
        """`role` is the parameter of a `Runner` that takes the target."""
        self._target: dict[str, Any] = {role: target}
        self._name = target.name
        root = getattr(target, "root_agent", target)
        self._has_schema = getattr(root, "output_schema", None) is not None
        for module in LATE:
            with suppress(ImportError):  # Of another version.
                load(module)
        self._types = load("google.genai.types")
        self._runner_of = load("google.adk.runners").Runner
        self._session_of = load("google.adk.sessions").Session
        configs = load("google.adk.agents.run_config")
        self._config_of = configs.RunConfig
        self._streaming = configs.StreamingMode.SSE

    async def answer(self, asked: Asked, emit: Emit) -> Answered:
        before: list[Json] = asked.state or []
        session = self._session(asked.conversation, before)
        runner = self._runner_of(
            app_name=session.app_name, session_service=service_of(session), **self._target
        )
        turn = runner.run_async(
            user_id=session.user_id,
            session_id=session.id,
            new_message=self._types.Content(role="user", parts=self._message(asked, session)),
            run_config=self._config_of(streaming_mode=self._streaming),
        )
        telling = Telling(emit, self._has_schema)
        async with aclosing(turn) as events:
            async for event in events:
                telling.tell(event)
        telling.end()
        after = session.events[len(before) :]
        return Answered(
            telling.text,
            before + [event.model_dump(mode="json", exclude_none=True) for event in after],
            telling.output,
            tuple(telling.requests),
        )

    def _session(self, conversation: str, events: list[Json]) -> Any:
        session = self._session_of(
            id=conversation, app_name=self._name, user_id="user", events=events
        )
        for event in session.events:
            session.state.update(event.actions.state_delta)
        return session

    def _message(self, asked: Asked, session: Any) -> list[Any]:
        types = self._types
        if asked.resume is not None:
            asks = {
                call.id: call
                for event in session.events
                for call in event.get_function_calls()
                if call.id in asked.resume
            }
            return [
                types.Part(
                    function_response=types.FunctionResponse(
                        id=id, name=asks[id].name, response=response(asks[id].name, decision)
                    )
                )
                for id, decision in asked.resume.items()
            ]
        if asked.parts:
            return [self._part(part) for part in asked.parts]
        return [types.Part(text=asked.message)]

    def _part(self, part: Part) -> Any:
        types = self._types
        if part["type"] == "text":
            return types.Part(text=part["text"])
        kind, name = part.get("media_type"), part.get("name")
        if "data" in part:
            data = b64decode(part["data"])
            blob = types.Blob(data=data, mime_type=kind, display_name=name)
            return types.Part(inline_data=blob)
        url = part.get("url", "")
        kind = kind or guess_type(url)[0] or "image/*"
        file = types.FileData(file_uri=url, mime_type=kind, display_name=name)
        return types.Part(file_data=file)


def service_of(session: Any) -> Any:
    """A session service that keeps one session, and gives out copies as the framework's own do.

    Those copy every event each time, which holds up the event loop in a long conversation.
    """
    base = load("google.adk.sessions").BaseSessionService
    kept = session

    class OneSession(base):  # type: ignore[misc, valid-type]
        async def get_session(self, **_: Any) -> Any:
            return kept.model_copy(update={"events": [*kept.events], "state": {**kept.state}})

        async def append_event(self, session: Any, event: Any) -> Any:
            added: Any = await base.append_event(self, session, event)
            if not added.partial:
                kept.events.append(added)
                kept.state.update(added.actions.state_delta)
            return added

        create_session = list_sessions = delete_session = get_session

    return OneSession()


def response(name: str, decision: Decision) -> dict[str, Any]:
    if name == CONFIRMATION:
        return {"confirmed": decision.approve, "payload": decision.value}
    value: Any = decision.value
    if value is None:
        value = decision.reason or decision.approve
    return cast(dict[str, Any], value) if isinstance(value, dict) else {"result": value}


def adapt(target: Any, in_thread: InThread) -> GoogleAdkAdapter:
    names = {(one.__module__, one.__name__) for one in type(target).__mro__}
    role = "app" if APP in names else "agent" if AGENT in names else "node"
    return GoogleAdkAdapter(target, role)


FRAMEWORK = Framework(
    name="Google ADK",
    package="google-adk",
    version="2.13.0",
    classes=frozenset({APP, AGENT, NODE}),
    adapt=adapt,
    asks=True,
    takes=frozenset({"image", "file"}),
    refused={
        ("google.adk.runners", "Runner"): (
            "Serve the agent or the app that you gave to the Runner: its sessions would be"
            " kept twice."
        ),
    },
)

"""Adapts agents, workflows and apps of Google's Agent Development Kit (ADK).

The state is the list of a session's events, from which its `state` follows; `user:` and `app:`
keys too are of the one conversation. There is no artifact and no memory service: a tool that
asks for one fails. Its user is `user`.

A refusal reaches the model in the framework's words: there is no place for a reason. Tools that
are no coroutines run on the event loop, and hold up everyone while they work.
"""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Mapping
from contextlib import aclosing
from mimetypes import guess_type
from typing import Any, cast

from pydantic_core import to_jsonable_python

from runner.agents.base import (
    Answered,
    Asked,
    Emit,
    Json,
    Part,
    Reasoning,
    ToolCall,
    ToolResult,
    Usage,
)
from runner.agents.frameworks.framework import Framework, InThread, load
from runner.agents.requests import Decision, InputRequest

CONFIRMATION = "adk_request_confirmation"

ASKS = frozenset({CONFIRMATION, "adk_request_input", "adk_request_credential"})
"""Calls by which an agent needs a person."""

FOR_PROGRAMS = " by responding with a FunctionResponse with an expected ToolConfirmation payload."

APP = ("google.adk.apps.app", "App")
AGENT = ("google.adk.agents.base_agent", "BaseAgent")
NODE = ("google.adk.workflow._base_node", "BaseNode")


class GoogleAdkAdapter:
    def __init__(self, target: Any, role: str) -> None:
        """`role` is the parameter of a `Runner` that takes the target."""
        self._target: dict[str, Any] = {role: target}
        self._name = target.name
        root = getattr(target, "root_agent", target)
        self._has_schema = getattr(root, "output_schema", None) is not None
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


class Telling:
    """Emits what happens, and joins the text.

    A text comes in partial events, and then once more, whole. Of agents that speak at once,
    one is heard as it speaks, and the others when it has finished.
    """

    def __init__(self, emit: Emit, has_schema: bool) -> None:
        self.text = ""
        self.output: Json = None
        self.requests: list[InputRequest] = []
        self._emit = emit
        self._has_schema = has_schema
        self._tokens = [0, 0]
        self._error = ""
        self._reasoned = False
        self._last_author = ""
        self._speaking: tuple[Any, Any] | None = None
        self._missed: set[tuple[Any, Any]] = set()
        self._waiting: list[tuple[str, str]] = []

    def tell(self, event: Any) -> None:
        if event.content:
            self._error = ""
        elif event.error_code:
            self._error = f"{event.error_code}: {event.error_message}"
        words, thoughts = text_of(event, thought=False), text_of(event, thought=True)
        if thoughts and (event.partial or not self._reasoned):
            self._emit(Reasoning(thoughts))
        self._reasoned = bool(event.partial and (thoughts or self._reasoned))
        speaker = (event.author, event.branch)
        if event.partial:
            if words:
                self._hear(speaker, words)
            return
        if self._speaking == speaker:
            self._speaking = None
        elif words:
            self._missed.discard(speaker)
            self._waiting.append((event.author, words))
        if self._speaking is None:
            self._say_what_waits()
        self._tell_whole(event, words)

    def end(self) -> None:
        """Raises what a service gave instead of words; what it raises comes out of the run."""
        if self._error:
            raise RuntimeError(self._error)
        self._say_what_waits()
        if any(self._tokens):
            self._emit(Usage(*self._tokens))
        if isinstance(self.output, str):  # What a workflow's last function returned.
            self.text, self.output = self.text or self.output, None
        elif self.output is not None and not self.text:
            self.text = json.dumps(self.output)

    def _hear(self, speaker: tuple[Any, Any], words: str) -> None:
        if self._speaking is None and speaker not in self._missed:
            self._speaking = speaker
        if self._speaking == speaker:
            self._say(speaker[0], words)
        else:
            self._missed.add(speaker)

    def _say_what_waits(self) -> None:
        for author, words in self._waiting:
            self._say(author, words)
        self._waiting.clear()

    def _say(self, author: str, words: str) -> None:
        if self.text and author != self._last_author:
            words = "\n\n" + words
        self._last_author = author
        self.text += words
        self._emit(words)

    def _tell_whole(self, event: Any, words: str) -> None:
        for call in event.get_function_calls():
            if call.name in ASKS:
                self.requests.append(input_request(call))
            else:
                self._emit(ToolCall(call.id, call.name, call.args))
        for given in event.get_function_responses():
            if given.id not in event.actions.requested_tool_confirmations:
                self._emit(ToolResult(given.id, given.name, unwrapped(given.response)))
        if event.output is not None:
            self.output = to_jsonable_python(event.output)
        elif event.content is not None:
            self.output = as_json(words) if self._has_schema else None
        usage = event.usage_metadata
        if usage is not None:
            self._tokens[0] += usage.prompt_token_count or 0
            self._tokens[1] += usage.candidates_token_count or 0
            self._tokens[1] += usage.thoughts_token_count or 0


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


def input_request(call: Any) -> InputRequest:
    args: Any = call.args or {}
    if call.name != CONFIRMATION:
        return InputRequest(prompt=args.get("message") or "", arguments=args, id=call.id)
    original: Any = args["originalFunctionCall"]
    return InputRequest(
        kind="approval",
        prompt=args.get("toolConfirmation", {}).get("hint", "").removesuffix(FOR_PROGRAMS),
        name=original["name"],
        arguments=original.get("args"),
        id=call.id,
    )


def response(name: str, decision: Decision) -> dict[str, Any]:
    if name == CONFIRMATION:
        return {"confirmed": decision.approve, "payload": decision.value}
    value: Any = decision.value
    if value is None:
        value = decision.reason or decision.approve
    return cast(dict[str, Any], value) if isinstance(value, dict) else {"result": value}


def text_of(event: Any, *, thought: bool) -> str:
    parts: Any = event.content.parts or () if event.content else ()
    return "".join(part.text for part in parts if part.text and bool(part.thought) is thought)


def as_json(text: str) -> Json:
    try:
        return json.loads(text)
    except ValueError:
        return None


def unwrapped(response: Mapping[str, Any] | None) -> Json:
    """What a tool gave: what is no dict comes in one."""
    if response is not None and set(response) == {"result"}:
        return to_jsonable_python(response["result"])
    return to_jsonable_python(response)


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
    refused=(
        (
            ("google.adk.runners", "Runner"),
            "Serve the agent or the app that you gave to the Runner: its sessions would be"
            " kept twice.",
        ),
    ),
)

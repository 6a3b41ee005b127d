"""CrewAI: an `Agent`, asked by `kickoff`. A `Crew` or a `Flow` needs a wrapper.

State: the messages as CrewAI gives them to the model, without the system prompt, and with the
tools' calls and results.

CrewAI calls models and tools in threads even from `kickoff_async`, and these go on when it is
cancelled. So the whole run has a thread of the turn's, and ends at the next thing it tells.

Pieces come only from a model made with `LLM(..., stream=True)`, and only where its text is the
reply: not with a plan or a guardrail, and not where tools are called in text. What a model says
before it calls a tool is known only from pieces; without them CrewAI drops it.

Off, unless the user's environment says otherwise: telemetry, traces, and the look for a newer
version; and for an agent that is not `verbose`, the boxes on the console. CrewAI reads these
variables at each use, and sends nothing before an agent's first run.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from json import loads
from threading import Event
from typing import Any

from pydantic_core import to_jsonable_python

from runner.agents.base import Answered, Asked, Emit, Reasoning, ToolCall, ToolResult, Usage
from runner.agents.frameworks.framework import Framework, InThread, Unsupported, load
from runner.agents.frameworks.stoppable import call_stoppable

QUIET = {
    "CREWAI_DISABLE_TELEMETRY": "true",
    "CREWAI_TRACING_ENABLED": "false",
    "CREWAI_DISABLE_VERSION_CHECK": "true",
}
KEPT = ("role", "content", "tool_calls", "tool_call_id", "name")
"""What of a message is its state. The rest is CrewAI's own, such as marks for caches."""


class CrewAI:
    def __init__(self, agent: Any, in_thread: InThread) -> None:
        if not hasattr(agent, "kickoff"):
            raise Unsupported(
                f"{type(agent).__name__} has no kickoff(messages), as crewai.Agent has. "
                "Make an async function of it that takes the message and returns the reply."
            )
        for name, value in QUIET.items():
            os.environ.setdefault(name, value)
        self._agent = agent
        self._in_thread = in_thread
        self._add_sink = load("crewai.events.stream_context").add_stream_sink
        self._silence = load("crewai.events.utils.console_formatter").set_suppress_console_output

    async def answer(self, asked: Asked, emit: Emit) -> Answered:
        messages = [*(asked.state or ()), {"role": "user", "content": asked.message}]
        told = _Told(self._agent, emit)

        def kick_off(stop: Event) -> Any:
            # Both are context variables, and the thread has a context of its own.
            self._silence(not self._agent.verbose)
            self._add_sink(partial(told.hear, stop))
            return self._agent.kickoff(messages)

        result = await call_stoppable(self._in_thread, kick_off)
        _tell_usage(result.usage_metrics, emit)
        text = told.text + (rest := _rest(told.text, result.raw))
        if told.text and rest:
            emit(rest)
        said = _tool_messages(result.messages[len(messages) :])
        if result.raw:  # CrewAI leaves out messages that are empty, and they would not be found.
            said.append({"role": "assistant", "content": result.raw})
        output = None if result.pydantic is None else to_jsonable_python(result.pydantic)
        return Answered(text, state=[*messages, *said], output=output)


class _Told:
    """What a run tells, heard in its threads. `text` is what was emitted of the reply."""

    def __init__(self, agent: Any, emit: Emit) -> None:
        self.text = ""
        self._id = str(agent.id)
        self._emit = emit
        self._hearers: dict[str, Callable[[Any], None]] = {
            "tool_usage_started": self._call,
            "tool_usage_finished": lambda event: self._result(event, event.output),
            "tool_usage_error": lambda event: self._result(event, str(event.error)),
            "llm_thinking_chunk": lambda event: emit(Reasoning(event.chunk)),
        }
        if _streams(agent):
            self._hearers["llm_stream_chunk"] = self._piece

    def hear(self, stop: Event, source: Any, event: Any) -> None:
        if stop.is_set():
            raise _Stopped  # Out of the run, whatever it was about to do.
        if hearer := self._hearers.get(event.type):
            hearer(event)

    def _piece(self, event: Any) -> None:
        if event.chunk and event.tool_call is None and event.agent_id == self._id:
            self.text += event.chunk
            self._emit(event.chunk)

    def _call(self, event: Any) -> None:
        self._emit(ToolCall(event.event_id, event.tool_name, _json(event.tool_args)))

    def _result(self, event: Any, output: Any) -> None:
        content = to_jsonable_python(output, fallback=str)
        self._emit(ToolResult(event.started_event_id or "", event.tool_name, content))


class _Stopped(BaseException):
    """No Exception, so that nothing on its way takes it for a failure that can be mended."""


def _streams(agent: Any) -> bool:
    """Whether the model's text is the reply, rather than a plan, a draft, or a call of a tool."""
    if agent.guardrail is not None or agent.planning_enabled:
        return False
    return not agent.tools or bool(agent.llm.supports_function_calling())


def _rest(said: str, reply: str) -> str:
    """What is still to be said of a reply whose pieces were perhaps not all of it."""
    if said.endswith(reply):
        return ""
    return reply[len(said) :] if reply.startswith(said) else f"\n\n{reply}"


def _tool_messages(messages: list[Any]) -> list[Any]:
    """Calls of tools and their results; none where one is missing, which providers refuse."""
    ours = [m for m in messages if m.get("tool_calls") or m["role"] == "tool"]
    called = [call["id"] for m in ours for call in m.get("tool_calls") or ()]
    if sorted(called) != sorted(m["tool_call_id"] for m in ours if m["role"] == "tool"):
        return []
    return [to_jsonable_python({key: m[key] for key in KEPT if key in m}) for m in ours]


def _tell_usage(used: dict[str, Any] | None, emit: Emit) -> None:
    """Nothing where the model counts nothing."""
    if used and (used["prompt_tokens"] or used["completion_tokens"]):
        emit(Usage(used["prompt_tokens"], used["completion_tokens"]))


def _json(arguments: Any) -> Any:
    if not isinstance(arguments, str):
        return to_jsonable_python(arguments, fallback=str)
    try:
        return loads(arguments)
    except ValueError:
        return arguments


FRAMEWORK = Framework(
    name="CrewAI",
    package="crewai",
    version="1.15.30",
    classes=frozenset({("crewai.agents.agent_builder.base_agent", "BaseAgent")}),
    adapt=CrewAI,
    uses_threads=True,
    refused={
        ("crewai.crew", "Crew"): (
            "A Crew takes named inputs. Say which of them the message is:\n"
            "    async def agent(message):\n"
            '        return (await crew.kickoff_async(inputs={"topic": message})).raw'
        ),
        ("crewai.flow.flow", "Flow"): (
            "A Flow takes named inputs and is used once. Say which of them the message is:\n"
            "    async def agent(message):\n"
            '        return str(await MyFlow().kickoff_async(inputs={"topic": message}))'
        ),
    },
)

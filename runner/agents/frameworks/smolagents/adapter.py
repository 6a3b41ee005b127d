"""smolagents: `CodeAgent`, `ToolCallingAgent`, and any other `MultiStepAgent`.

Synchronous, so a turn runs in a thread, on a copy of the agent with a memory and variables of
its own. The reply is what the model passes to `final_answer`. With `stream_outputs=True` a
`ToolCallingAgent` streams it; a `CodeAgent` cannot, since its answer is the value of an
expression. All other text of the model is reasoning.

The state holds the steps without the messages that the model was sent, and those variables of
a `CodeAgent` that are JSON. An executor elsewhere (Docker, E2B) keeps its variables itself, for
all conversations together: such an agent should be made anew for each conversation.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from functools import partial
from typing import Any, cast

from runner.agents.base import Answered, Asked, Emit, Part, Usage
from runner.agents.frameworks.framework import Framework, InThread, load
from runner.agents.frameworks.smolagents.steps import Steps, image
from runner.agents.frameworks.smolagents.telling import Telling


class SmolagentsAdapter:
    def __init__(self, agent: Any, in_thread: InThread) -> None:
        self._agent = agent
        self._in_thread = in_thread

    async def answer(self, asked: Asked, emit: Emit) -> Answered:
        turn = cast("asyncio.Task[Any]", asyncio.current_task())
        asked_to_stop = turn.cancelling()

        def is_cancelled() -> bool:
            return turn.cancelling() > asked_to_stop

        answered: Answered = await self._in_thread(partial(self._turn, asked, emit, is_cancelled))
        return answered

    def _turn(self, asked: Asked, tell: Emit, is_cancelled: Callable[[], bool]) -> Answered:
        agent = self._load(asked.state)
        steps = agent.memory.steps
        before = len(steps)
        telling = Telling(agent, tell)
        with _quiet(agent):
            run = agent.run(
                asked.message, stream=True, reset=False, images=_images(asked.parts) or None
            )
            _hear(run, telling, is_cancelled)
        _check_end(steps[-1])
        if usage := _usage(steps[before:]):
            tell(usage)
        text, output = telling.reply()
        return Answered(text, state=self._state(agent), output=output)

    def _load(self, state: Any) -> Any:
        """A copy of the agent that goes on from the state."""
        agent = _own(self._agent)
        agent.monitor.reset()  # Or its list of durations would grow for ever.
        if state:
            agent.memory.steps = Steps().load(state)
            agent.state |= state["variables"]
        return agent

    def _state(self, agent: Any) -> Any:
        named = {**agent.state, **(_variables(agent) or {})}
        variables = {
            name: value
            for name, value in named.items()
            if not name.startswith("_") and _is_json(value)
        }
        return {**Steps().dump(agent.memory.steps), "variables": variables}


def _hear(run: Any, telling: Telling, is_cancelled: Callable[[], bool]) -> None:
    """Tell all that the run gives. It ends where it is cancelled, or can tell no more."""
    refused = None
    try:
        for event in run:
            try:
                telling(event)
            except Exception as error:
                refused = refused or error
            if refused or is_cancelled():
                # Sooner than `agent.interrupt()`, which waits until the step has ended. And no
                # Exception, which the agent would take for a tool's, and try again.
                run.throw(asyncio.CancelledError)
    except asyncio.CancelledError:
        raise refused or asyncio.CancelledError from None


def _own(agent: Any) -> Any:
    """A copy that shares with the agent nothing that a run writes to."""
    own = copy(agent)
    own.memory = load("smolagents.memory").AgentMemory(agent.system_prompt)
    own.state = dict(agent.state)
    own.managed_agents = {name: _own(other) for name, other in agent.managed_agents.items()}
    variables = _variables(agent)
    if variables is not None:
        own.python_executor = copy(agent.python_executor)
        own.python_executor.state = dict(variables)
    return own


def _variables(agent: Any) -> dict[str, Any] | None:
    """Of the code that the agent has run here; None where it runs none, or elsewhere."""
    executor: Any = getattr(agent, "python_executor", None)
    local = load("smolagents.local_python_executor").LocalPythonExecutor
    return executor.state if isinstance(executor, local) else None


def _check_end(step: Any) -> None:
    """Raise if the model failed in its last words, which smolagents gives as the reply.

    The exception's text would stand in it, and may hold secrets.
    """
    too_many_steps = load("smolagents.utils").AgentMaxStepsError
    if isinstance(step.error, too_many_steps) and not isinstance(step.action_output, str):
        raise RuntimeError("the model failed after max_steps, when it was to give its answer")


@contextmanager
def _quiet(agent: Any) -> Generator[None]:
    """By default it prints every step to stdout. Who wants that sets `LogLevel.DEBUG`."""
    debug = load("smolagents.monitoring").LogLevel.DEBUG
    consoles = [one.logger.console for one in _team(agent) if one.logger.level < debug]
    were = [console.quiet for console in consoles]
    for console in consoles:
        console.quiet = True
    try:
        yield
    finally:
        for console, was in zip(consoles, were, strict=True):
            console.quiet = was


def _team(agent: Any) -> Iterator[Any]:
    yield agent
    for other in agent.managed_agents.values():
        yield from _team(other)


def _usage(steps: Sequence[Any]) -> Usage | None:
    used = [step.token_usage for step in steps if getattr(step, "token_usage", None)]
    usage = Usage(sum(one.input_tokens for one in used), sum(one.output_tokens for one in used))
    # Models that do not count say 0 when they stream.
    return usage if usage != Usage(0, 0) else None


def _images(parts: Sequence[Part]) -> list[Any]:
    return [image(_data(part)) for part in parts if part["type"] == "image"]


def _data(part: Any) -> str:
    """In base64. We fetch nothing on a client's behalf."""
    url = part.get("url", "")
    if "data" not in part and not url.startswith("data:"):
        raise ValueError("smolagents takes images as data, and not by their address")
    return str(part.get("data") or url.partition(",")[2])


def _is_json(value: Any) -> bool:
    """Whether it comes back from JSON as it was."""
    try:
        return bool(json.loads(json.dumps(value, allow_nan=False)) == value)
    except (TypeError, ValueError, RecursionError):
        return False


FRAMEWORK = Framework(
    name="smolagents",
    package="smolagents",
    version="1.26.0",
    classes=frozenset({("smolagents.agents", "MultiStepAgent")}),
    adapt=SmolagentsAdapter,
    is_shared=False,
    uses_threads=True,
    takes=frozenset({"image"}),
    takes_urls=False,
)

"""What an adapter adds to its framework: a conversation through it, by one without it.

The agents are those of docs/examples/frameworks, on their frameworks' own test models, which cost
next to nothing: with a real model the difference disappears. "Alone" is what a user of the
framework writes who wants streaming and keeps the conversation in memory. Run it where the
frameworks are: `make bench-adapters`.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pydantic_core import from_json

from loadtests.bench.figures import ratios, show, title
from runner.agents.base import Asked
from runner.agents.boundary import Boundary
from runner.agents.callee import as_callee
from runner.agents.threads import Threads

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples" / "frameworks"

Ask = Callable[[str], Awaitable[object]]
"""Asks the next message of a conversation."""


def pydantic_ai(agent: Any) -> Ask:
    history: list[Any] = []

    async def ask(message: str) -> None:
        async with agent.run_stream_events(message, message_history=history) as events:
            async for event in events:
                if event.event_kind == "agent_run_result":
                    history[:] = event.result.all_messages()

    return ask


def openai_agents(agent: Any) -> Ask:
    sdk = import_module("agents")
    sdk.set_tracing_disabled(True)
    items: list[Any] = []

    async def ask(message: str) -> None:
        run = sdk.Runner.run_streamed(agent, [*items, {"role": "user", "content": message}])
        async for _ in run.stream_events():
            pass
        items[:] = run.to_input_list()

    return ask


def strands(agent: Any) -> Ask:
    agent.messages.clear()
    agent.callback_handler = import_module("strands.handlers").null_callback_handler

    async def ask(message: str) -> None:
        async with aclosing(agent.stream_async(message)) as events:
            async for _ in events:
                pass

    return ask


def langgraph(agent: Any) -> Ask:
    saver = import_module("langgraph.checkpoint.memory").InMemorySaver()
    graph = agent.copy(update={"checkpointer": saver})
    config = {"configurable": {"thread_id": "1"}}

    async def ask(message: str) -> None:
        given = {"messages": [("user", message)]}
        async with aclosing(graph.astream(given, config, stream_mode=["messages"])) as events:
            async for _ in events:
                pass

    return ask


def agent_framework(agent: Any) -> Ask:
    session = agent.create_session()

    async def ask(message: str) -> None:
        stream = agent.run(message, session=session, stream=True)
        async for _ in stream:
            pass
        await stream.get_final_response()

    return ask


def google_adk(agent: Any) -> Ask:
    runners, types = import_module("google.adk.runners"), import_module("google.genai.types")
    config = import_module("google.adk.agents.run_config")
    runner = runners.InMemoryRunner(agent, app_name="bench")
    streaming = config.RunConfig(streaming_mode=config.StreamingMode.SSE)
    made: list[Any] = []

    async def ask(message: str) -> None:
        if not made:
            made.append(await runner.session_service.create_session(app_name="bench", user_id="u"))
        said = types.Content(role="user", parts=[types.Part(text=message)])
        events = runner.run_async(
            user_id="u", session_id=made[0].id, new_message=said, run_config=streaming
        )
        async with aclosing(events):
            async for _ in events:
                pass

    return ask


def autogen(agent: Any) -> Ask:
    token = import_module("autogen_core").CancellationToken
    is_new = [True]

    async def ask(message: str) -> None:
        if is_new.pop():
            await agent.on_reset(token())
        is_new.append(False)
        async for _ in agent.run_stream(task=message):
            pass

    return ask


def llama_index(agent: Any) -> Ask:
    memory = import_module("llama_index.core.memory").ChatMemoryBuffer
    kept = memory.from_defaults(chat_history=[], token_limit=10**9)

    async def ask(message: str) -> None:
        handler = agent.run(message, memory=kept)
        async for _ in handler.stream_events():
            pass
        await handler

    return ask


def crewai(agent: Any) -> Ask:
    messages: list[dict[str, str]] = []

    async def ask(message: str) -> None:
        messages.append({"role": "user", "content": message})
        result = await agent.kickoff_async(messages)
        messages.append({"role": "assistant", "content": result.raw})

    return ask


def smolagents(agent: Any) -> Ask:
    is_new = [True]

    async def ask(message: str) -> None:
        await asyncio.to_thread(agent.run, message, reset=is_new.pop())
        is_new.append(False)

    return ask


def dspy(agent: Any) -> Ask:
    turns: list[dict[str, str]] = []
    history = import_module("dspy").History

    async def ask(message: str) -> None:
        answer = await agent.acall(question=message, history=history(messages=turns))
        turns.append({"question": message, "answer": answer.answer})

    return ask


ALONE: dict[str, tuple[str, Callable[[Any], Ask]]] = {
    "Pydantic AI": ("pydantic_ai", pydantic_ai),
    "OpenAI Agents SDK": ("openai_agents", openai_agents),
    "Strands": ("strands", strands),
    "LangGraph": ("langgraph", langgraph),
    "Microsoft Agent Framework": ("agent_framework", agent_framework),
    "Google ADK": ("google_adk", google_adk),
    "AutoGen": ("autogen", autogen),
    "LlamaIndex": ("llama_index", llama_index),
    "CrewAI": ("crewai", crewai),
    "smolagents": ("smolagents", smolagents),
    "DSPy": ("dspy", dspy),
}
"""The name of each framework, the folder of its example, and how it is used alone."""


def measure(quick: bool) -> None:
    rounds, conversations = (3, 2) if quick else (9, 10)
    title("CPU time of a conversation of ten turns, adapter / framework alone", rounds)
    for name, (folder, alone) in ALONE.items():
        try:
            agent = _example(folder)
        except ModuleNotFoundError as absent:
            print(f"{name}: not measured, {absent}", flush=True)
            continue
        found = asyncio.run(_ratios(agent, alone, rounds, conversations))
        show(name, found, "aim 1.05")


def _example(folder: str) -> Any:
    """The agent of an example, whose modules have the same names in all of them."""
    if find_spec("runner") is None or not (EXAMPLES / folder / "agent.py").exists():
        raise ModuleNotFoundError(f"there is no example {folder}")
    for name in ("agent", "scripted_model"):
        sys.modules.pop(name, None)
    sys.path.insert(0, str(EXAMPLES / folder))
    try:
        return import_module("agent").agent
    finally:
        sys.path.pop(0)


async def _ratios(
    agent: Any, alone: Callable[[Any], Ask], rounds: int, conversations: int
) -> list[float]:
    boundary = Boundary(Threads(4), 1_000_000)
    callee = as_callee(agent, boundary.in_thread)
    assert callee is not None
    spent: dict[str, list[float]] = {"adapter": [], "alone": []}
    for number in range(rounds + 1):  # The first warms up.
        for name in spent:
            gc.collect()
            began_s = time.process_time()
            for _ in range(conversations):
                ask = _through(boundary, callee.adapter) if name == "adapter" else alone(agent)
                for turn in range(10):
                    await ask(f"this is message {turn}")
            if number:
                spent[name].append(time.process_time() - began_s)
    return ratios(spent["adapter"], spent["alone"])


def _through(boundary: Boundary, adapter: Any) -> Ask:
    kept: list[bytes | None] = [None]

    async def ask(message: str) -> None:
        state = None if kept[0] is None else from_json(kept[0])
        kept[0] = (await boundary.ask(adapter, Asked("bench", message, state=state))).state

    return ask

"""LlamaIndex: `FunctionAgent`, `ReActAgent`, `CodeActAgent`, and `AgentWorkflow`.

The state holds the memory's messages, the `state` of the context, and which agent of an
`AgentWorkflow` has the conversation. The memory forgets nothing: the default one would drop
what is more than 3,000 tokens ago.

Only a `FunctionAgent` streams its reply. The others stream what they think, in the format of
their prompt, and the reply is taken out of it at the end.

A tool that waits for a `HumanResponseEvent` lives in a context that JSON cannot hold (its
`to_dict` leaves out the memory, and cannot be resumed), so that fails the turn.
"""

from __future__ import annotations

import json
from contextlib import aclosing
from typing import Any

from pydantic_core import to_jsonable_python

from runner.agents.base import Answered, Asked, Emit, Reasoning, ToolCall, ToolResult
from runner.agents.frameworks.exits import failing
from runner.agents.frameworks.framework import Framework, InThread, Unsupported, load

AGENTS = ("llama_index.core.agent.workflow.base_agent", "BaseWorkflowAgent")
MULTI_AGENT = ("llama_index.core.agent.workflow.multi_agent_workflow", "AgentWorkflow")
WORKFLOW = ("workflows.workflow", "Workflow")
CHAT_ENGINE = ("llama_index.core.chat_engine.types", "BaseChatEngine")


class LlamaIndexAdapter:
    def __init__(self, agent: Any, in_thread: InThread) -> None:
        workflow = load("llama_index.core.agent.workflow")
        if not isinstance(agent, workflow.BaseWorkflowAgent | workflow.AgentWorkflow):
            raise Unsupported(
                "A Workflow has inputs of its own. This says which one is the message: "
                "async def agent(message): return str(await workflow.run(input=message))"
            )
        self._agent = agent
        is_one = isinstance(agent, workflow.BaseWorkflowAgent)
        self._agents: dict[str, Any] = {agent.name: agent} if is_one else agent.agents
        _let_tools_fail(agent)

    async def answer(self, asked: Asked, emit: Emit) -> Answered:
        state: Any = asked.state or {"messages": [], "state": None, "agent": None}
        memory = _memory(state["messages"])
        context = await self._context(state)
        run = self._agent.run(user_msg=_message(asked), memory=memory, ctx=context)
        telling = _Telling(self._agents, emit)
        try:
            async with aclosing(run.stream_events()) as events:
                async for event in events:
                    telling(event)
            result = await run
        finally:
            if not run.is_done():
                await run.cancel_run()
        output = to_jsonable_python(result.structured_response)
        text = result.response.content or ("" if output is None else json.dumps(output))
        return Answered(
            telling.reply(text),
            state={
                "messages": [message.model_dump(mode="json") for message in memory.get_all()],
                "state": to_jsonable_python(await run.ctx.store.get("state", default=None)),
                "agent": await run.ctx.store.get("current_agent_name", default=None),
            },
            output=output,
        )

    async def _context(self, state: Any) -> Any:
        context = load("llama_index.core.workflow").Context(self._agent)
        if state["state"]:
            await context.store.set("state", state["state"])
        if state["agent"] in self._agents:
            await context.store.set("current_agent_name", state["agent"])
        return context


class _Telling:
    """Tells what happens, and what of the reply has not been told when it is over."""

    def __init__(self, agents: dict[str, Any], emit: Emit) -> None:
        workflow = load("llama_index.core.agent.workflow")
        self._workflow = workflow
        self._asks = load("llama_index.core.workflow").InputRequiredEvent
        self._emit = emit
        self._speakers = {
            name for name, agent in agents.items() if isinstance(agent, workflow.FunctionAgent)
        }
        self._said = ""
        self._answers = False

    def __call__(self, event: Any) -> None:
        workflow = self._workflow
        if isinstance(event, workflow.AgentStream):
            self._stream(event)
        elif isinstance(event, workflow.AgentOutput):
            self._whole(event)
        elif isinstance(event, workflow.ToolCall):
            arguments = to_jsonable_python(event.tool_kwargs, fallback=str)
            self._emit(ToolCall(event.tool_id, event.tool_name, arguments))
        elif isinstance(event, workflow.ToolCallResult):
            content = to_jsonable_python(event.tool_output.raw_output, fallback=str)
            self._emit(ToolResult(event.tool_id, event.tool_name, content))
            self._answers = False
        elif isinstance(event, self._asks):
            raise RuntimeError(
                "a tool waits for a HumanResponseEvent, which cannot outlive the turn; "
                "let the agent ask in its reply instead, and go on with the next message"
            )

    def reply(self, text: str) -> str:
        """All that was said. `text` is the result, which is not streamed by every agent."""
        if self._answers or not self._said:
            return self._said or text
        self._say(text)  # A tool's result that is the answer as it is.
        return self._said

    def _stream(self, event: Any) -> None:
        if event.thinking_delta:
            self._emit(Reasoning(event.thinking_delta))
        if event.delta and event.current_agent_name in self._speakers:
            self._say(event.delta)
            self._answers = True
        elif event.delta:
            self._emit(Reasoning(event.delta))

    def _whole(self, event: Any) -> None:
        """What the model said before its tools, or at the end; streamed already, or not."""
        said = event.response.content
        if said and not self._answers and event.current_agent_name in self._speakers:
            self._say(said)
            self._answers = True

    def _say(self, piece: str) -> None:
        if piece:
            self._said += piece
            self._emit(piece)


def _let_tools_fail(agent: Any) -> None:
    """A workflow waits for ever for a step that ends in a CancelledError or a SystemExit."""
    kind = agent.__class__

    async def call(*args: Any) -> Any:
        return await failing(kind._call_tool(agent, *args))

    vars(agent)["_call_tool"] = call


def _memory(messages: list[Any]) -> Any:
    chat_message = load("llama_index.core.llms").ChatMessage
    return load("llama_index.core.memory").ChatMemoryBuffer.from_defaults(
        chat_history=[chat_message.model_validate(message) for message in messages],
        token_limit=10**9,
        tokenizer_fn=_no_tokens,
    )


def _no_tokens(text: str) -> list[int]:
    """Nothing is dropped, so nothing need be counted; the default one reads a vocabulary."""
    return []


def _message(asked: Asked) -> Any:
    llms = load("llama_index.core.llms")
    if not asked.parts:
        return llms.ChatMessage(role="user", content=asked.message)
    return llms.ChatMessage(role="user", blocks=[_block(llms, part) for part in asked.parts])


def _block(llms: Any, part: Any) -> Any:
    if part["type"] == "text":
        return llms.TextBlock(text=part["text"])
    data, url, kind = part.get("data"), part.get("url"), part.get("media_type")
    if part["type"] == "image":
        return llms.ImageBlock(image=data, url=url, image_mimetype=kind)
    return llms.DocumentBlock(data=data, url=url, document_mimetype=kind, title=part["name"])


FRAMEWORK = Framework(
    name="LlamaIndex",
    package="llama-index-core",
    version="0.14.25",
    classes=frozenset({AGENTS, MULTI_AGENT, WORKFLOW}),
    adapt=LlamaIndexAdapter,
    takes=frozenset({"image", "file"}),
    refused={
        CHAT_ENGINE: (
            "A chat engine keeps one history for everybody. Make one for each turn: "
            "async def agent(message, history): return str(await index.as_chat_engine().achat("
            "message, [ChatMessage(**one) for one in history]))"
        ),
    },
)

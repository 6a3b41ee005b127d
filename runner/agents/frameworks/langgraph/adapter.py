"""LangGraph graphs, and the agents of LangChain's `create_agent`, which are such graphs.

State: the graph's newest checkpoint with its pending writes, so that all channels and open
interrupts survive. A graph without a checkpointer is given one for the turn, and an
InMemorySaver is replaced by it, since that forgets everything at the next restart.

In any other checkpointer a turn forks from the last committed checkpoint: the state is
`thread_id` and `checkpoint_id`, so what turns that were not kept wrote there is never read.
Two exceptions are in the state whole, and go on under a new `thread_id` each. To an interrupted
checkpoint LangGraph writes the answers, and a second one would not replace the first: after a
turn that was not kept, a refusal would count as the approval before it. And a subgraph with
`checkpointer=True` goes on from the newest that it wrote under a `thread_id`, forked or not.
"""

from __future__ import annotations

import json
from contextlib import aclosing
from typing import Any

from pydantic_core import to_jsonable_python

from runner.agents.base import Answered, Asked, Emit, Json
from runner.agents.frameworks.framework import Framework, InThread, Unsupported, load
from runner.agents.frameworks.langgraph.checkpoints import (
    config_of,
    dump,
    in_threads,
    restore,
    works_async,
)
from runner.agents.frameworks.langgraph.interrupts import requests_of, resume
from runner.agents.frameworks.langgraph.reply import Reply, could_speak


class LangGraph:
    def __init__(self, graph: Any, in_thread: InThread) -> None:
        self._graph = graph
        self._in_thread = in_thread
        self._of_turn = load("langgraph.checkpoint.memory").InMemorySaver
        saver = graph.checkpointer
        is_lasting = saver not in (None, True, False) and type(saver) is not self._of_turn
        self._lasting = saver if is_lasting else None
        subgraphs = [subgraph for _, subgraph in graph.get_subgraphs(recurse=True)]
        self._forks = is_lasting and all(one.checkpointer is not True for one in subgraphs)
        self._is_async: bool | None = None
        delta = load("langgraph.channels.delta").DeltaChannel
        self._deltas = [name for name, one in graph.channels.items() if isinstance(one, delta)]
        nodes = could_speak(graph)
        self._speaks = {nodes[0]: True} if len(nodes) == 1 else {}

    async def answer(self, asked: Asked, emit: Emit) -> Answered:
        saver = await self._saver()
        graph = self._graph.copy(update={"checkpointer": saver})
        fork, namespaces = await restore(saver, asked.conversation, asked.state)
        before = await graph.aget_state(fork)
        if asked.state and before.created_at is None:
            raise LookupError("The graph's checkpointer has lost this conversation's checkpoint")
        said = asked.state.get("said", ()) if asked.state else ()
        reply = Reply(emit, before.values.get("messages", ()), self._speaks, said)
        events = graph.astream(
            _message(asked) if asked.resume is None else resume(before.interrupts, asked.resume),
            fork,
            stream_mode=["messages", "values"],
            output_keys=["messages"],
            subgraphs=True,
            # The turn's own saver is asked for the last checkpoint alone.
            durability=None if self._lasting else "exit",
        )
        async with aclosing(events):
            async for namespace, mode, event in events:
                namespaces.add("|".join(namespace))
                if mode == "messages":
                    reply.token(namespace, *event)
                elif not namespace and "messages" in event:
                    reply.step(event["messages"])
        thread_id = fork["configurable"]["thread_id"]
        after = await graph.aget_state(config_of(thread_id))
        is_interrupted = bool(after.interrupts)
        if self._forks and not is_interrupted:
            checkpoint_id = after.config["configurable"]["checkpoint_id"]
            state: Json = {"thread_id": thread_id, "checkpoint_id": checkpoint_id}
        else:
            values = await self._values_of_deltas(graph, after.config)
            state = await dump(saver, thread_id, namespaces, is_interrupted, values)
        if said := reply.end(is_interrupted):
            state["said"] = said
        output = None if is_interrupted else _structured(after.values)
        text = reply.text if reply.text or output is None else json.dumps(output)
        return Answered(text, state, output, tuple(requests_of(after.interrupts)))

    async def _saver(self) -> Any:
        if self._lasting is None:
            return self._of_turn()
        if self._is_async is None:
            self._is_async = await works_async(self._lasting)
        return self._lasting if self._is_async else in_threads(self._lasting, self._in_thread)

    async def _values_of_deltas(self, graph: Any, checkpoint: Any) -> dict[str, Any]:
        if not self._deltas:
            return {}
        values = (await graph.aget_state(checkpoint)).values
        return {name: values[name] for name in self._deltas if name in values}


def _message(asked: Asked) -> Json:
    content = [_block(part) for part in asked.parts] or asked.message
    return {"messages": [load("langchain_core.messages").HumanMessage(content)]}


def _block(part: Any) -> Json:
    names = {"data": "base64", "media_type": "mime_type", "name": "filename"}
    return {names.get(name, name): value for name, value in part.items()}


def _structured(values: Any) -> Json:
    """What an agent of `create_agent(response_format=...)` gives."""
    return to_jsonable_python(values.get("structured_response"), fallback=str)


WRAPPER = """Put a graph with `messages` around it:
from langchain.messages import AIMessage
from langgraph.graph import MessagesState, StateGraph
async def ask(state):
    answer = await other.ainvoke({"question": state["messages"][-1].text})
    return {"messages": [AIMessage(answer["text"])]}
agent = StateGraph(MessagesState).add_node(ask).set_entry_point("ask").compile()"""


def adapt(graph: Any, in_thread: InThread) -> LangGraph:
    channel = graph.channels.get("messages")
    builder = getattr(graph, "builder", None)
    if channel is None or not builder or "messages" not in builder.schemas[builder.input_schema]:
        raise Unsupported(f"This graph takes no `messages`. {WRAPPER}")
    if isinstance(channel, load("langgraph.channels").LastValue):
        raise Unsupported(
            "This graph's `messages` has no reducer, so each message would replace all others: "
            "`messages: Annotated[list[AnyMessage], add_messages]`, or subclass `MessagesState`."
        )
    if graph.interrupt_before_nodes or graph.interrupt_after_nodes:
        raise Unsupported(
            "`interrupt_before` and `interrupt_after` stop a graph without a question that "
            "could be answered. Ask in the node instead: "
            '`if interrupt("May I?") not in (True, "yes"): return ...`.'
        )
    return LangGraph(graph, in_thread)


FRAMEWORK = Framework(
    name="LangGraph",
    package="langgraph",
    version="1.2.24",
    classes=frozenset({("langgraph.pregel.main", "Pregel")}),
    adapt=adapt,
    asks=True,
    takes=frozenset({"image", "file"}),
    refused={
        ("langgraph.graph.state", "StateGraph"): "Serve what its `.compile()` gives.",
        (
            "langchain_core.language_models.chat_models",
            "BaseChatModel",
        ): "Serve `langchain.agents.create_agent(model)`.",
        ("langchain_core.runnables.base", "Runnable"): WRAPPER,
    },
)

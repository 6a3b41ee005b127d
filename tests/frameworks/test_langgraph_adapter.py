"""LangGraph's graphs and LangChain's agents, by the examples in docs, and by small graphs."""

from __future__ import annotations

import asyncio
import json
import operator
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Annotated, Any

import pytest

from runner.agents.base import Answered, Asked, Progress, Reasoning, ToolCall, ToolResult, Usage
from runner.agents.frameworks.framework import Unsupported
from runner.agents.frameworks.langgraph import FRAMEWORK
from runner.agents.frameworks.langgraph.interrupts import requests_of
from runner.agents.requests import Decision
from tests.frameworks.examples import load_example

pytest.importorskip("langgraph", reason="LangGraph is not installed")
pytest.importorskip("langchain", reason="LangChain is not installed")

from langchain.agents import create_agent
from langchain.agents.middleware import HumanInTheLoopMiddleware
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, AnyMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_core.tools import tool
from langgraph.channels import DeltaChannel
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph, add_messages
from langgraph.types import Interrupt, interrupt
from typing_extensions import TypedDict


class Lasting(InMemorySaver):
    """Stands for a checkpointer that is a database."""


async def in_thread(function: Any) -> Any:
    return await asyncio.to_thread(function)


def adapted(agent: Any) -> Any:
    return FRAMEWORK.adapt(agent, in_thread)


class Conversation:
    """Turns of one conversation, each with an adapter of its own if `make` makes one."""

    def __init__(self, make: Any, name: str = "c") -> None:
        self._make, self._name = make, name
        self.state: Any = None
        self.heard: list[str | Progress] = []
        self.last = Answered("")

    async def ask(self, message: str = "", **asked: Any) -> str:
        """The reply; nothing is kept of a turn that fails."""
        self.heard = []
        turn = Asked(self._name, message, state=self.state, **asked)
        answered = await self._make().answer(turn, self.heard.append)
        self.state = json.loads(json.dumps(answered.state))
        self.last = answered
        if self.pieces:
            assert "".join(self.pieces) == answered.text
        return str(answered.text)

    async def decide(self, *decisions: Decision) -> str:
        ids = [request.id for request in self.last.requests]
        return await self.ask(resume=dict(zip(ids, decisions, strict=True)))

    @property
    def pieces(self) -> list[str]:
        return [piece for piece in self.heard if isinstance(piece, str)]

    def told(self, kind: type) -> list[Any]:
        return [piece for piece in self.heard if isinstance(piece, kind)]


@pytest.fixture(params=["langgraph", "langchain", "in a lasting checkpointer"])
def make(request: pytest.FixtureRequest) -> Any:
    """Makes an adapter of a new agent, as the next process does."""
    saver = Lasting()

    def new() -> Any:
        if request.param != "in a lasting checkpointer":
            return adapted(load_example(request.param).agent)
        graph = load_example("langgraph").agent
        return adapted(graph.copy(update={"checkpointer": saver}))

    return new


async def test_the_next_process_goes_on_with_the_conversation(make: Any) -> None:
    talk = Conversation(make)
    assert await talk.ask("hello") == "1: you said hello"
    assert talk.pieces == ["1: ", "you said hello"]
    assert await talk.ask("again") == "2: you said again"


async def test_conversations_do_not_mix(make: Any) -> None:
    agent = make()
    one, two = Conversation(lambda: agent, "1"), Conversation(lambda: agent, "2")
    said = await asyncio.gather(one.ask("a"), two.ask("b"))
    assert list(said) == ["1: you said a", "1: you said b"]
    assert await one.ask("c") == "2: you said c"
    assert await two.ask("d") == "2: you said d"


async def test_a_conversation_that_begins_anew_under_its_name_knows_nothing(make: Any) -> None:
    agent = make()
    await Conversation(lambda: agent).ask("hello")
    assert await Conversation(lambda: agent).ask("hello") == "1: you said hello"


async def test_tools_are_told_of_and_their_results_survive(make: Any) -> None:
    talk = Conversation(make)
    assert await talk.ask("add 2 3") == "1: the sum is 5"
    [called], [result] = talk.told(ToolCall), talk.told(ToolResult)
    assert (called.name, called.arguments) == ("add", {"a": 2, "b": 3})
    assert (result.id, result.name, result.content) == (called.id, "add", "5")
    assert await talk.ask("results") == "2: 5"
    assert talk.told(ToolCall) == []


async def test_usage_is_summed_over_the_turn(make: Any) -> None:
    talk = Conversation(make)
    await talk.ask("add 2 3")
    assert talk.told(Usage)[-1].output_tokens == 2
    await talk.ask("hello")
    assert talk.told(Usage)[-1].output_tokens == 1


async def test_a_failed_turn_leaves_nothing(make: Any) -> None:
    agent = make()
    talk = Conversation(lambda: agent)
    await talk.ask("hello")
    with pytest.raises(RuntimeError, match="secret"):
        await talk.ask("fail")
    assert await talk.ask("again") == "2: you said again"


async def test_a_cancelled_turn_leaves_nothing(make: Any) -> None:
    agent = make()
    talk = Conversation(lambda: agent)
    await talk.ask("hello")
    before = asyncio.all_tasks()
    running = asyncio.create_task(talk.ask("slow"))
    while not talk.pieces or talk.pieces == ["1: ", "you said hello"]:
        await asyncio.sleep(0.01)
    assert talk.pieces == ["2: "]
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    await asyncio.sleep(0.05)
    assert asyncio.all_tasks() == before
    assert await talk.ask("again") == "2: you said again"


async def test_a_tool_that_was_approved_runs(make: Any) -> None:
    talk = Conversation(make)
    assert await talk.ask("delete F") == ""
    assert len(talk.last.requests) == 1
    assert await talk.decide(Decision(True)) == "1: deleted F"
    assert [result.content for result in talk.told(ToolResult)] == ["deleted F"]
    assert talk.told(ToolCall) == []
    assert await talk.ask("hello") == "2: you said hello"


async def test_a_tool_that_was_refused_does_not_run(make: Any) -> None:
    talk = Conversation(make)
    await talk.ask("delete F")
    assert await talk.decide(Decision(False, reason="I need it")) == "1: kept F"
    assert await talk.ask("hello") == "2: you said hello"


async def test_an_approval_in_a_turn_that_was_not_kept_is_not_seen(make: Any) -> None:
    agent = make()
    talk = Conversation(lambda: agent)
    await talk.ask("delete F")
    kept, asked = talk.state, talk.last
    assert await talk.decide(Decision(True)) == "1: deleted F"
    talk.state, talk.last = kept, asked
    assert await talk.decide(Decision(False)) == "1: kept F"


async def test_images_reach_the_model(make: Any) -> None:
    picture = {"type": "image", "media_type": "image/png", "data": "aGk="}
    parts = ({"type": "text", "text": "look"}, picture, {"type": "image", "url": "http://x/y.png"})
    assert await Conversation(make).ask("look", parts=parts) == "1: saw 2 images"


async def test_what_is_asked_is_in_the_request() -> None:
    talk = Conversation(lambda: adapted(load_example("langgraph").agent))
    await talk.ask("delete F")
    [question] = talk.last.requests
    assert (question.kind, question.prompt) == ("question", "Delete F?")
    talk = Conversation(lambda: adapted(load_example("langchain").agent))
    await talk.ask("delete F")
    [approval] = talk.last.requests
    assert (approval.kind, approval.name, approval.arguments) == (
        "approval",
        "delete_file",
        {"path": "F"},
    )


def test_the_users_own_words_are_the_prompt_of_an_approval() -> None:
    words = "Sure?\n\nTool: delete\nArgs: {'path': 'F'}"
    action = {"name": "delete", "args": {"path": "F"}, "description": words}
    asked = Interrupt({"action_requests": [action]}, id="1")
    assert [request.prompt for request in requests_of([asked])] == ["Sure?"]


async def test_the_users_graph_is_left_as_it_was() -> None:
    graph = load_example("langgraph").agent
    saver = InMemorySaver()
    graph.checkpointer = saver
    await Conversation(lambda: adapted(graph)).ask("hello")
    assert graph.checkpointer is saver
    assert not saver.storage


async def test_a_lasting_checkpointer_has_the_conversation() -> None:
    saver = Lasting()
    graph = load_example("langgraph").agent.copy(update={"checkpointer": saver})
    talk = Conversation(lambda: adapted(graph))
    await talk.ask("hello")
    assert set(talk.state) == {"thread_id", "checkpoint_id"}
    found = await graph.aget_state({"configurable": talk.state})
    assert [message.text for message in found.values["messages"]] == ["hello", "1: you said hello"]


async def test_a_checkpointer_that_has_lost_the_conversation_is_no_new_conversation() -> None:
    graph = load_example("langgraph").agent
    talk = Conversation(lambda: adapted(graph.copy(update={"checkpointer": Lasting()})))
    await talk.ask("hello")
    with pytest.raises(LookupError):
        await talk.ask("again")


async def test_the_state_grows_with_the_messages_alone() -> None:
    talk = Conversation(lambda: adapted(load_example("langgraph").agent))
    sizes = []
    for _ in range(12):
        await talk.ask("delete F")
        await talk.decide(Decision(True))
        sizes.append(len(json.dumps(talk.state)))
    assert sizes[-1] < 3 * sizes[0]


# Small graphs.


class Words(BaseChatModel):
    """Says the same always, in two pieces, the second when it may."""

    words: list[Any]
    may_go_on: Any = None

    @property
    def _llm_type(self) -> str:
        return "words"

    def bind_tools(self, tools: Any, **kwargs: Any) -> Any:
        return self

    def _generate(self, *args: Any, **kwargs: Any) -> ChatResult:
        raise NotImplementedError

    async def _astream(self, *args: Any, **kwargs: Any) -> AsyncIterator[ChatGenerationChunk]:
        for number, word in enumerate(self.words):
            if number and self.may_go_on:
                await self.may_go_on.wait()
            yield ChatGenerationChunk(message=AIMessageChunk(content=word))


def speaking(words: list[Any], may_go_on: Any = None) -> Any:
    async def node(state: Any) -> Any:
        model = Words(words=words, may_go_on=may_go_on)
        return {"messages": [await model.ainvoke(state["messages"])]}

    return node


def routed(*, speaker: Any) -> Any:
    """A graph with a node whose model's words are for itself alone."""

    class State(MessagesState):
        route: str

    async def route(state: State) -> dict[str, Any]:
        return {"route": (await Words(words=["to ", "b"]).ainvoke("where?")).text}

    return (
        StateGraph(State)
        .add_sequence([("route", route), ("speak", speaker)])
        .add_edge(START, "route")
        .compile()
    )


async def test_what_a_router_says_is_not_the_reply() -> None:
    adapter = adapted(routed(speaker=speaking(["hel", "lo"])))
    talk = Conversation(lambda: adapter)
    assert [await talk.ask("hi"), await talk.ask("hi")] == ["hello", "hello"]
    assert talk.pieces == ["hel", "lo"]


async def test_a_node_that_has_spoken_is_heard_while_it_speaks() -> None:
    go_on = asyncio.Event()
    go_on.set()
    adapter = adapted(routed(speaker=speaking(["hel", "lo"], go_on)))
    talk = Conversation(lambda: adapter)
    await talk.ask("hi")
    go_on.clear()
    running = asyncio.create_task(talk.ask("hi"))
    while talk.pieces != ["hel"]:
        await asyncio.sleep(0.001)
    go_on.set()
    assert await running == "hello"


async def test_a_subgraph_speaks_when_its_messages_get_into_the_graphs() -> None:
    inner = StateGraph(MessagesState).add_node("say", speaking(["in", "ner"]))
    graph = StateGraph(MessagesState).add_node("sub", inner.add_edge(START, "say").compile())
    adapter = adapted(graph.add_edge(START, "sub").compile())
    talk = Conversation(lambda: adapter)
    assert [await talk.ask("hi"), await talk.ask("hi")] == ["inner", "inner"]


async def test_what_an_agent_says_inside_of_a_tool_is_not_the_reply() -> None:
    inner = StateGraph(MessagesState).add_node("say", speaking(["in", "ner"]))
    agent = inner.add_edge(START, "say").compile()

    async def consult(state: MessagesState) -> dict[str, Any]:
        answer = await agent.ainvoke({"messages": state["messages"][-1:]})
        return {"messages": [AIMessage(f"it says {answer['messages'][-1].text}")]}

    graph = StateGraph(MessagesState).add_node(consult).add_edge(START, "consult")
    adapter = adapted(graph.compile())
    talk = Conversation(lambda: adapter)
    assert [await talk.ask("hi"), await talk.ask("hi")] == ["it says inner", "it says inner"]


async def test_what_was_said_before_an_interrupt_is_not_said_again() -> None:
    async def ask(state: Any) -> Any:
        asks = state["messages"][-2].text == "ask me"
        return {"messages": [AIMessage(interrupt("Which?") if asks else "done")]}

    inner = StateGraph(MessagesState)
    inner.add_sequence([("say", speaking(["one ", "moment. "])), ("ask", ask)])
    graph = StateGraph(MessagesState).add_node("sub", inner.add_edge(START, "say").compile())
    adapter = adapted(graph.add_edge(START, "sub").compile())
    talk = Conversation(lambda: adapter)
    assert await talk.ask("hi") == "one moment. done"
    assert await talk.ask("ask me") == "one moment. "
    assert await talk.decide(Decision(True, "red")) == "red"


@pytest.mark.parametrize("saver", [None, InMemorySaver(), Lasting()])
async def test_other_channels_and_parallel_interrupts_survive(saver: Any) -> None:
    class State(TypedDict):
        messages: Annotated[list[AnyMessage], operator.add]
        seen: Annotated[list[str], operator.add]

    def asking(name: str) -> Any:
        return lambda state: {"seen": [f"{name}={interrupt({'for': name})}"]}

    def tell(state: State) -> dict[str, Any]:
        return {"messages": [AIMessage(" ".join(sorted(state["seen"])))]}

    graph = StateGraph(State).add_node("a", asking("a")).add_node("b", asking("b"))
    graph.add_node(tell).add_edge(START, "a").add_edge(START, "b").add_edge(["a", "b"], "tell")
    talk = Conversation(lambda: adapted(graph.compile(checkpointer=saver)))
    await talk.ask("hi")
    assert [request.arguments for request in talk.last.requests] == [{"for": "a"}, {"for": "b"}]
    assert await talk.decide(Decision(True, 1), Decision(False)) == "a=1 b=False"
    await talk.ask("hi")
    assert await talk.decide(Decision(True), Decision(True, {"x": 2})) == (
        "a=1 a=True b=False b={'x': 2}"
    )


def joined(old: list[Any], new: list[Any]) -> list[Any]:
    return [*old, *(one for some in new for one in some)]


class Changes(MessagesState):
    seen: Annotated[list[str], DeltaChannel(joined)]


@pytest.mark.parametrize("saver", [None, Lasting()])
async def test_channels_that_are_kept_as_changes_survive(saver: Any) -> None:
    def look(state: Changes) -> dict[str, Any]:
        return {"seen": [state["messages"][-1].text]}

    def tell(state: Changes) -> dict[str, Any]:
        if state["seen"][-1] == "ask":
            interrupt("What?")
        return {"messages": [AIMessage(" ".join(state["seen"]))]}

    graph = StateGraph(Changes).add_sequence([look, tell]).add_edge(START, "look")
    talk = Conversation(lambda: adapted(graph.compile(checkpointer=saver)))
    assert [await talk.ask("a"), await talk.ask("b"), await talk.ask("ask")] == ["a", "a b", ""]
    assert await talk.decide(Decision(True)) == "a b ask"
    assert await talk.ask("c") == "a b ask c"


@pytest.mark.parametrize("saver", [None, Lasting()])
async def test_an_interrupt_in_a_subgraph_is_answered_there(saver: Any) -> None:
    ran: list[str] = []

    def before(state: MessagesState) -> dict[str, Any]:
        ran.append("before")
        return {}

    def ask(state: MessagesState) -> dict[str, Any]:
        return {"messages": [AIMessage(interrupt("What?"))]}

    inner = StateGraph(MessagesState).add_sequence([before, ask]).add_edge(START, "before")
    graph = StateGraph(MessagesState).add_node("sub", inner.compile()).add_edge(START, "sub")
    talk = Conversation(lambda: adapted(graph.compile(checkpointer=saver)))
    for word in ("one", "two"):
        assert await talk.ask("hi") == ""
        assert await talk.decide(Decision(True, word)) == word
    assert ran == ["before"] * 2
    assert len(str(talk.state)) < 3000


@pytest.mark.parametrize("saver", [None, Lasting()])
async def test_a_subgraph_with_a_memory_keeps_it(saver: Any) -> None:
    class Counting(TypedDict):
        messages: Annotated[list[AnyMessage], add_messages]
        calls: Annotated[list[int], operator.add]

    def count(state: Counting) -> dict[str, Any]:
        return {"calls": [1], "messages": [AIMessage(f"call {len(state['calls']) + 1}")]}

    def check(state: MessagesState) -> dict[str, Any]:
        if state["messages"][-2].text == "fail":
            raise RuntimeError
        return {}

    inner = StateGraph(Counting).add_node(count).add_edge(START, "count")
    subgraph = inner.compile(checkpointer=True)
    graph = StateGraph(MessagesState).add_sequence([("sub", subgraph), check])
    talk = Conversation(lambda: adapted(graph.add_edge(START, "sub").compile(checkpointer=saver)))
    assert await talk.ask("hi") == "call 1"
    with pytest.raises(RuntimeError):
        await talk.ask("fail")
    assert [await talk.ask("hi"), await talk.ask("hi")] == ["call 2", "call 3"]


class Synchronous(InMemorySaver):
    """As SqliteSaver and PostgresSaver."""

    aget_tuple = BaseCheckpointSaver.aget_tuple
    aput = BaseCheckpointSaver.aput
    aput_writes = BaseCheckpointSaver.aput_writes
    alist = BaseCheckpointSaver.alist


async def test_a_checkpointer_that_is_not_async_is_called_in_threads() -> None:
    graph = load_example("langgraph").agent.copy(update={"checkpointer": Synchronous()})
    talk = Conversation(lambda: adapted(graph))
    assert await talk.ask("hello") == "1: you said hello"
    await talk.ask("delete F")
    assert await talk.decide(Decision(True)) == "2: deleted F"
    assert await talk.ask("results") == "3: deleted F"


@pytest.mark.parametrize("saver", [None, Lasting()])
async def test_a_node_may_ask_twice(saver: Any) -> None:
    def ask(state: MessagesState) -> dict[str, Any]:
        return {"messages": [AIMessage(f"{interrupt('First?')}, {interrupt('Second?')}")]}

    graph = StateGraph(MessagesState).add_node(ask).add_edge(START, "ask")
    talk = Conversation(lambda: adapted(graph.compile(checkpointer=saver)))
    await talk.ask("hi")
    await talk.decide(Decision(True, "one"))
    assert [request.prompt for request in talk.last.requests] == ["Second?"]
    assert await talk.decide(Decision(True, "two")) == "one, two"


class Deleting(Words):
    """Calls the tool for two files at once, and then says how that went."""

    async def _astream(self, messages: Any, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        if messages[-1].type == "human":
            calls = [
                {"name": "delete_file", "args": json.dumps({"path": path}), "id": path, "index": n}
                for n, path in enumerate(("x", "y"))
            ]
            yield ChatGenerationChunk(message=AIMessageChunk(content="", tool_call_chunks=calls))
        else:
            results = [message.text for message in messages if message.type == "tool"]
            yield ChatGenerationChunk(message=AIMessageChunk(content="; ".join(results)))


@pytest.mark.parametrize("mode", ["batched", "per_call"])
async def test_each_action_of_a_middlewares_interrupt_is_a_request(mode: Any) -> None:
    @tool
    def delete_file(path: str) -> str:
        """Delete a file."""
        return f"deleted {path}"

    def make() -> Any:
        asks = HumanInTheLoopMiddleware(interrupt_on={"delete_file": True}, interrupt_mode=mode)
        return adapted(create_agent(Deleting(words=[]), tools=[delete_file], middleware=[asks]))

    talk = Conversation(make)
    await talk.ask("both")
    assert [request.arguments for request in talk.last.requests] == [{"path": "x"}, {"path": "y"}]
    said = await talk.decide(Decision(True), Decision(False, reason="it is mine"))
    assert "deleted x" in said
    assert "deleted y" not in said
    assert "it is mine" in said
    await talk.ask("both")
    edited = await talk.decide(Decision(True, {"path": "z"}), Decision(True))
    assert "deleted z" in edited


async def test_reasoning_is_told_apart_from_the_reply() -> None:
    thought = [{"type": "reasoning", "reasoning": "hm", "index": 0}]
    graph = StateGraph(MessagesState).add_node("a", speaking([thought, "yes"]))
    talk = Conversation(lambda: adapted(graph.add_edge(START, "a").compile()))
    assert await talk.ask("hi") == "yes"
    assert talk.told(Reasoning) == [Reasoning("hm")]


class Weather(TypedDict):
    """The weather."""

    city: str


async def test_a_structured_response_is_the_output() -> None:
    call = [{"name": "Weather", "args": '{"city": "Rome"}', "id": "1", "index": 0}]

    class Model(Words):
        async def _astream(self, *args: Any, **kwargs: Any) -> AsyncIterator[ChatGenerationChunk]:
            yield ChatGenerationChunk(message=AIMessageChunk(content="", tool_call_chunks=call))

    agent = create_agent(Model(words=[]), response_format=Weather)
    talk = Conversation(lambda: adapted(agent))
    assert await talk.ask("hi") == '{"city": "Rome"}'
    assert talk.last.output == {"city": "Rome"}


def test_what_cannot_be_asked_is_refused_with_a_remedy() -> None:
    class Plain(TypedDict):
        question: str

    class Unreduced(TypedDict):
        messages: list[Any]

    for state, remedy in ((Plain, "StateGraph"), (Unreduced, "add_messages")):
        graph = StateGraph(state).add_node("a", lambda state: {}).add_edge(START, "a")
        with pytest.raises(Unsupported, match=remedy):
            adapted(graph.compile())
    stops = StateGraph(MessagesState).add_node("a", speaking(["x"])).add_edge(START, "a")
    with pytest.raises(Unsupported, match="interrupt\\("):
        adapted(stops.compile(interrupt_before=["a"]))


async def test_the_wrapper_that_a_refusal_shows_works() -> None:
    class Plain(TypedDict):
        question: str
        text: str

    graph = StateGraph(Plain).add_node("a", lambda state: {"text": f"not {state['question']}"})
    other = graph.add_edge(START, "a").compile()
    with pytest.raises(Unsupported) as refused:
        adapted(other)
    _, shown = str(refused.value).split(":\n", 1)
    module: dict[str, Any] = {"other": other}
    exec(shown, module)
    assert await Conversation(lambda: adapted(module["agent"])).ask("hi") == "not hi"

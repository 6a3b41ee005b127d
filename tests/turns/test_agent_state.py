"""What an agent's state and the history promise each other, over every store: I-28."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic_core import from_json

from runner.agents.base import Asked
from runner.agents.boundary import Boundary
from runner.agents.callee import as_callee
from runner.agents.encoding import Unusable
from runner.agents.threads import Threads
from runner.store.base import AgentState, Record, StoreUnavailable
from runner.turns.requests import InputPending
from strategies import ConversationBusy, State
from tests.support import keepers
from tests.support.stores import KINDS
from tests.turns.stage import Make, Stage, ended, stages


@pytest.fixture(params=KINDS)
async def make(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Make]:
    monkeypatch.setattr(keepers, "notebook", keepers.Notebook())
    monkeypatch.setattr(keepers, "threaded_notebook", keepers.ThreadedNotebook())
    async with stages(request.param, tmp_path, "notebook") as make_one:
        yield make_one


@pytest.mark.parametrize("name", ["notebook", "threaded_notebook", "Notebook"])
async def test_the_next_turn_is_given_what_the_last_one_left(make: Make, name: str) -> None:
    stage = await make(name)
    assert [(await stage.ask(message)).reply for message in "ab"] == ["a", "a | b"]


@pytest.mark.parametrize("name", ["notebook", "threaded_notebook", "Notebook"])
async def test_each_conversation_has_a_state_of_its_own(make: Make, name: str) -> None:
    stage = await make(name)
    said = [(await stage.ask(message, message[0])).reply for message in ("a1", "b1", "a2", "b2")]
    assert said == ["a1", "b1", "a1 | a2", "b1 | b2"]


async def test_one_object_asked_in_many_conversations_at_once_mixes_none_of_them(
    make: Make,
) -> None:
    stage = await make()
    lives = [await stage.begin(f"{name}{n}", name) for n in range(3) for name in "abcde"]
    replies = [(await ended(live)).reply for live in lives]
    assert replies[-5:] == [f"{name}0 | {name}1 | {name}2" for name in "abcde"]


# Turns that are not kept. Each ends one turn of the conversation, whose agent was called.


async def fail(stage: Stage) -> State:
    return (await stage.ask("raise ValueError")).state


async def be_cancelled(stage: Stage) -> State:
    live = await stage.begun("hang")
    await stage.service.cancel(live)
    return (await ended(live)).state


async def run_out_of_time(stage: Stage) -> State:
    return (await stage.ask("hang", deadline_s=0.1)).state


async def say_too_much(stage: Stage) -> State:
    return (await stage.ask("long 2000000")).state


async def keep_too_much(stage: Stage) -> State:
    return (await stage.ask("keep 5000000")).state


async def keep_no_json(stage: Stage) -> State:
    return (await stage.ask("spoil object")).state


LOST: dict[Callable[[Stage], Awaitable[State]], State] = {
    fail: State.FAILED,
    be_cancelled: State.CANCELLED,
    run_out_of_time: State.EXPIRED,
    say_too_much: State.FAILED,
    keep_too_much: State.FAILED,
    keep_no_json: State.FAILED,
}


@pytest.mark.parametrize("name", ["notebook", "Notebook"])
@pytest.mark.parametrize("lose", LOST, ids=lambda lose: lose.__name__)
async def test_after_a_turn_that_was_not_kept_the_old_state_stands(
    make: Make, name: str, lose: Callable[[Stage], Awaitable[State]]
) -> None:
    stage = await make(name)
    await stage.ask("a")
    assert await lose(stage) is LOST[lose]
    assert (await stage.ask("b")).reply == "a | b"
    assert await stage.state() == {"notes": ["a", "b"]}


@pytest.mark.parametrize("lose", LOST, ids=lambda lose: lose.__name__)
async def test_a_first_turn_that_was_not_kept_leaves_no_state(
    make: Make, lose: Callable[[Stage], Awaitable[State]]
) -> None:
    stage = await make()
    await lose(stage)
    assert await stage.state() is None
    assert (await stage.ask("b")).reply == "b"


@pytest.mark.parametrize("strategy", ["interrupt", "rollback"])
async def test_of_an_interrupted_turn_nothing_is_in_the_state(make: Make, strategy: str) -> None:
    stage = await make()
    await stage.ask("a")
    first = await stage.begun("hang")
    assert (await stage.ask("b", strategy=strategy)).reply == "a | b"
    assert (await ended(first)).reply is None
    assert len(await stage.store.messages("c")) == 4


async def test_of_a_turn_that_a_shutdown_ends_nothing_is_in_the_state(make: Make) -> None:
    stage = await make()
    await stage.ask("a")
    live = await stage.begun("hang")
    await stage.stop()
    assert (await ended(live)).outcome == "rolled_back"
    await stage.start()
    assert (await stage.ask("b")).reply == "a | b"


async def test_a_turn_whose_commit_failed_leaves_the_old_state(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = await make()
    await stage.ask("a")

    async def commit(record: Record) -> int:
        raise StoreUnavailable

    with monkeypatch.context() as broken:
        broken.setattr(stage.store, "commit", commit)
        assert (await stage.ask("lost")).state is State.FAILED
    assert (await stage.ask("b")).reply == "a | b"


async def test_a_state_survives_a_restart_with_the_history(make: Make) -> None:
    stage = await make()
    await stage.ask("a")
    await stage.stop()
    keepers.notebook = keepers.Notebook()
    await stage.start()
    assert (await stage.ask("b")).reply == "a | b"


# What a state may be.


@pytest.mark.parametrize("kind", [*keepers.SPOILT])
async def test_a_state_that_is_no_json_fails_the_turn_and_says_so(make: Make, kind: str) -> None:
    stage = await make()
    await stage.ask("a")
    live = await stage.begin(f"spoil {kind}")
    assert (await ended(live)).state is State.FAILED
    assert isinstance(live.fault, Unusable)
    assert "state is no JSON" in str(live.fault)


async def test_an_object_that_begins_with_no_json_is_told_so_at_its_first_turn(make: Make) -> None:
    stage = await make()
    keepers.notebook.state["spoilt"] = object()
    live = await stage.begin("a")
    assert (await ended(live)).state is State.FAILED
    assert "state is no JSON" in str(live.fault)


async def test_a_state_may_be_as_long_as_the_settings_say_and_no_longer(make: Make) -> None:
    stage = await make(max_state_bytes=1_000)
    room = 1_000 - len('{"notes":["keep 000"],"kept":""}')
    assert (await stage.ask(f"keep {room}")).state is State.ANSWERED
    live = await stage.begin(f"keep {room + 1}", "other")
    assert (await ended(live)).state is State.FAILED
    assert "state is longer than 1000 bytes" in str(live.fault)
    assert "[agent] max_state_bytes" in str(live.fault)


async def test_an_agent_whose_state_is_null_is_given_a_blank_one(make: Make) -> None:
    """None stands for none: an object that wants to say nothing begins again."""
    stage = await make()
    await stage.store.commit(Record("t0", "c", "m", "r", left=AgentState("own", None)))
    assert (await stage.ask("a")).reply == "a"


async def test_a_state_of_another_form_is_not_given(make: Make) -> None:
    stage = await make()
    left = AgentState("LangGraph", b'{"notes": ["of another"]}')
    await stage.store.commit(Record("t0", "c", "m", "r", left=left))
    assert (await stage.ask("a")).reply == "a"
    assert await stage.state() == {"notes": ["a"]}
    assert await stage.store.agent_state("c", "LangGraph") == left


async def test_requests_of_another_kind_of_agent_hold_up_nobody(make: Make) -> None:
    stage = await make()
    requests = b'[{"id": "r1", "kind": "approval"}]'
    await stage.store.commit(
        Record("t0", "c", "m", "r", left=AgentState("Strands", None, requests))
    )
    assert (await stage.ask("a")).reply == "a"


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"])), inner
    ),
    max_leaves=20,
)  # fmt: skip


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(value=JSON)
async def test_json_comes_back_as_it_was_given(value: Any) -> None:
    """Through the boundary, which encodes it, and `Asked`, which is given it."""

    class Holder:
        def __init__(self) -> None:
            self.state: Any = "blank"

        async def answer(self, message: str) -> str:
            self.state = value
            return message

        def get_state(self) -> Any:
            return self.state

        def set_state(self, state: Any) -> None:
            self.state = state

    boundary = Boundary(Threads(1), 1_000)
    callee = as_callee(Holder(), boundary.in_thread)
    assert callee is not None
    said = await boundary.ask(callee.adapter, Asked("c", "m"))
    assert (None if said.state is None else from_json(said.state)) == value


# Beside the history.


async def test_the_history_can_be_read_without_the_state(make: Make) -> None:
    stage = await make()
    await stage.ask("keep 1000000")
    assert await stage.store.messages("c") == [
        {"role": "user", "content": "keep 1000000"},
        {"role": "assistant", "content": "keep 1000000"},
    ]


async def test_a_conversation_that_is_forgotten_takes_its_state_along(make: Make) -> None:
    stage = await make()
    await stage.ask("a")
    await stage.ask("x", "other")
    await stage.service.forget("c")
    assert await stage.store.agent_state("c", "own") is None
    assert (await stage.ask("b")).reply == "b"
    assert (await stage.ask("y", "other")).reply == "x | y"


async def test_a_conversation_is_not_forgotten_under_an_agent_at_work(make: Make) -> None:
    stage = await make()
    await stage.ask("a")
    live = await stage.begun("hang")
    with pytest.raises(ConversationBusy):
        await stage.service.forget("c")
    await stage.service.cancel(live)
    assert (await stage.ask("b")).reply == "a | b"


async def test_an_agent_without_a_state_leaves_none(make: Make) -> None:
    stage = await make("outputs")
    await stage.ask("a")
    assert await stage.store.agent_state("c", "own") is None


async def test_a_cancelled_turn_that_had_come_to_its_end_leaves_both_or_neither(
    make: Make,
) -> None:
    """At every step of the loop: the cancellation comes before the commit or after it."""
    stage = await make()
    for step in range(12):
        live = await stage.begun(f"sleep 0 {step}")
        for _ in range(step):
            await asyncio.sleep(0)
        await stage.service.cancel(live)
        await ended(live)
        said = [one["content"] for one in await stage.store.messages("c")][::2]
        assert ((await stage.state() or {"notes": []})["notes"]) == said


# What is left of a turn that was not kept.


@pytest.fixture
def _uncollected() -> Iterator[None]:
    """What is freed here is freed by itself."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("_uncollected")
async def test_a_failed_turn_holds_nothing_of_what_its_agent_held(make: Make) -> None:
    """I-25: it is remembered for minutes, and a state may have megabytes."""
    keepers.DROPPED.clear()
    stage = await make("dropping")
    live = await stage.begin("x")
    assert (await ended(live)).state is State.FAILED
    assert "dropped" in str(live.fault)
    await stage.ask("y")  # Its task was the last to hold the agent's frame.
    assert keepers.DROPPED[0]() is None


@pytest.mark.usefixtures("_uncollected")
async def test_a_refused_turn_holds_no_requests_beside_those_that_it_shows(make: Make) -> None:
    stage = await make("asking")
    await stage.ask("ask one")
    await stage.ask("plain")
    await asyncio.sleep(0)
    assert [one for one in gc.get_objects() if isinstance(one, InputPending)] == []

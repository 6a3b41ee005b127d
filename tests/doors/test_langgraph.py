"""The LangGraph SDK's own client, over a real server."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from http.client import HTTPConnection
from typing import Any

import pytest

from tests.doors.langgraph import (
    collected,
    connect,
    errors,
    new_thread,
    replies,
    say,
    spoken,
    texts,
)
from tests.support.client import Answer, until
from tests.support.server import Knobs, Server

TOKENS: Knobs = {"server__tokens": ["ann:a-token", "bob:b-token"]}


@pytest.fixture
async def client(server: Server) -> AsyncIterator[Any]:
    async with connect(server) as one:
        yield one


# Assistants and threads.


async def test_the_agent_is_the_one_assistant(client: Any) -> None:
    [found] = await client.assistants.search()
    assert found["graph_id"] == "agent"
    assert await client.assistants.get(found["assistant_id"]) == found
    assert await client.assistants.get("agent") == found
    assert await client.assistants.search(graph_id="another") == []
    assert await client.assistants.count() == 1
    assert await client.assistants.count(graph_id="another") == 0


async def test_another_assistant_is_not_found(client: Any) -> None:
    with pytest.raises(errors.NotFoundError, match="The one assistant here is 'agent'"):
        await client.assistants.get("another")
    with pytest.raises(errors.NotFoundError, match="The one assistant here is 'agent'"):
        await client.runs.create(await new_thread(client), "another", input=say("hello"))


async def test_a_thread_in_which_nothing_was_said_is_idle_and_empty(client: Any) -> None:
    thread = await client.threads.get(await new_thread(client))
    assert (thread["status"], thread["values"]) == ("idle", None)
    state = await client.threads.get_state(thread["thread_id"])
    assert state["values"] == {"messages": []}
    assert state["checkpoint"]["checkpoint_id"] is None
    of_it = await client.threads.get_state(thread["thread_id"], checkpoint=state["checkpoint"])
    assert of_it == state
    assert await client.threads.get_history(thread["thread_id"]) == []


async def test_a_thread_has_the_id_that_its_client_gives_it(client: Any, server: Server) -> None:
    thread = await client.threads.create(thread_id="my-own")
    await client.runs.wait(thread["thread_id"], "agent", input=say("hello"))
    assert server.history("my-own")[0]["content"] == "hello"
    with pytest.raises(errors.ConflictError, match="do_nothing"):
        await client.threads.create(thread_id="my-own")
    again = await client.threads.create(thread_id="my-own", if_exists="do_nothing")
    assert again["thread_id"] == "my-own"


async def test_threads_are_searched_by_what_is_known_of_them(client: Any) -> None:
    own = await new_thread(client)
    await client.runs.wait(own, "agent", input=say("hello"))
    assert [one["thread_id"] for one in await client.threads.search(ids=[own])] == [own]
    of_agent = await client.threads.search(metadata={"graph_id": "agent"}, limit=100)
    assert own in [one["thread_id"] for one in of_agent]
    assert await client.threads.search(metadata={"user": "ann"}) == []
    assert await client.threads.search(ids=[own], status="busy") == []
    assert await client.threads.count() == len(await client.threads.search(limit=1000)) > 0
    assert await client.threads.count(metadata={"user": "ann"}) == 0


async def test_a_deleted_thread_is_empty(client: Any) -> None:
    own = await new_thread(client)
    await client.runs.wait(own, "agent", input=say("hello"))
    await client.threads.delete(own)
    state = await client.runs.wait(own, "agent", input=say("again"))
    assert replies(state)[-1] == {"echo": "again", "before": 0}


async def test_the_history_of_a_thread_has_its_state_after_each_turn(client: Any) -> None:
    own = await new_thread(client)
    for message in ("one", "two", "three"):
        await client.runs.wait(own, "agent", input=say(message))
    states = await client.threads.get_history(own)
    assert [len(state["values"]["messages"]) for state in states] == [6, 4, 2]
    assert states[0] == await client.threads.get_state(own)
    assert states[1]["checkpoint"] == states[0]["parent_checkpoint"]
    earlier = await client.threads.get_history(own, before=states[1]["checkpoint"])
    assert earlier == states[2:]
    assert await client.threads.get_state(own, checkpoint_id="1") == states[2]
    assert await client.threads.get_state(own, checkpoint=states[1]["checkpoint"]) == states[1]
    with pytest.raises(errors.NotFoundError, match="no such checkpoint"):
        await client.threads.get_state(own, checkpoint_id="4")


async def test_what_a_client_asks_before_it_begins_is_answered(client: Any) -> None:
    assert await client.http.get("/ok") == {"ok": True}
    assert (await client.http.get("/info"))["flags"] == {"assistants": True, "crons": False}


# Runs.


async def test_a_run_that_is_awaited_answers_the_state(client: Any) -> None:
    own = await new_thread(client)
    state = await client.runs.wait(own, "agent", input=say("hello"))
    assert [message["type"] for message in state["messages"]] == ["human", "ai"]
    assert texts(state)[0] == "hello"
    state = await client.runs.wait(own, "agent", input=say("and you?"))
    assert [one["before"] for one in replies(state)] == [0, 2]


async def test_a_run_is_known_as_soon_as_it_is_accepted(client: Any) -> None:
    own, created = await new_thread(client), list[Any]()
    run = client.runs.wait(own, "agent", input=say("hello"), on_run_created=created.append)
    await run
    [one] = created
    assert one["thread_id"] == own
    assert (await client.runs.get(own, one["run_id"]))["status"] == "success"


async def test_a_stream_tells_the_reply_in_pieces_and_then_the_state(folder: Any) -> None:
    with Server(folder, target="tests.support.agents:pieces") as server:
        async with connect(server) as client:
            own = await new_thread(client)
            modes = ["messages-tuple", "values", "updates"]
            stream = client.runs.stream(own, "agent", input=say("a b c"), stream_mode=modes)
            parts = await collected(stream)
    assert parts[0].event == "metadata"
    assert spoken(parts) == "a b c "
    assert parts[-2].event == "values"
    assert texts(parts[-2].data) == ["a b c", "a b c "]
    # A page joins the pieces to the message of the same id.
    [piece_id] = {part.data[0]["id"] for part in parts if part.event == "messages"}
    assert parts[-2].data["messages"][-1]["id"] == piece_id
    assert parts[-1].event == "end"


async def test_a_stream_without_a_mode_gives_the_state(client: Any) -> None:
    parts = await collected(client.runs.stream(None, "agent", input=say("hello")))
    assert [part.event for part in parts] == ["metadata", "values", "end"]


async def test_a_mode_that_there_is_not_is_refused_unless_another_is_there(client: Any) -> None:
    with pytest.raises(errors.UnprocessableEntityError, match="messages-tuple"):
        await collected(client.runs.stream(None, "agent", input=say("a"), stream_mode="debug"))
    modes = ["debug", "values"]
    parts = await collected(client.runs.stream(None, "agent", input=say("a"), stream_mode=modes))
    assert parts[-2].event == "values"


async def test_the_place_in_the_line_is_a_custom_event(client: Any, server: Server) -> None:
    own = await new_thread(client)
    await client.runs.create(own, "agent", input=say("until there"))
    places: list[int] = []
    async for part in client.runs.stream(own, "agent", input=say("next"), stream_mode="custom"):
        if part.event == "custom":
            places.append(part.data["position"])
            server.let_on("there")
    assert places[0] == 1


async def test_three_at_once_are_answered_in_order(client: Any) -> None:
    own = await new_thread(client)
    modes, streams = ["values"], list[Any]()
    for number in range(3):
        stream = client.runs.stream(own, "agent", input=say(f"say {number}"), stream_mode=modes)
        assert (await anext(stream)).event == "metadata"  # It is in the line.
        streams.append(stream)
    ends = await asyncio.gather(*(collected(stream) for stream in streams))
    states = [parts[-2].data for parts in ends]
    assert [replies(state)[-1] for state in states] == [
        {"echo": f"say {number}", "before": 2 * number} for number in range(3)
    ]
    # Each is told the state after its own run, and not what came later.
    assert [len(state["messages"]) for state in states] == [2, 4, 6]


async def test_a_run_in_the_background_is_joined(client: Any, server: Server) -> None:
    own = await new_thread(client)
    run = await client.runs.create(own, "agent", input=say("until joined"))
    assert (await client.threads.get(own))["status"] == "busy"
    [listed] = await client.runs.list(own)
    assert listed["run_id"] == run["run_id"]
    joining = asyncio.ensure_future(client.runs.join(own, run["run_id"]))
    server.let_on("joined")
    assert replies(await joining) == [{"echo": "until joined", "before": 0}]
    assert (await client.runs.get(own, run["run_id"]))["status"] == "success"
    assert await client.runs.list(own) == []


async def test_a_stream_is_joined_after_the_last_event_that_was_seen(folder: Any) -> None:
    with Server(folder, target="tests.support.agents:pieces") as server:
        async with connect(server) as client:
            own = await new_thread(client)
            run = await client.runs.create(own, "agent", input=say("a b c d"))
            await client.runs.join(own, run["run_id"])
            seen = [
                part
                async for part in client.runs.join_stream(
                    own, run["run_id"], stream_mode="messages-tuple", last_event_id="1.4"
                )
            ]
    assert spoken(seen) == "c d "


async def test_a_run_of_another_thread_is_not_found(client: Any) -> None:
    run = await client.runs.create(await new_thread(client), "agent", input=say("hello"))
    with pytest.raises(errors.NotFoundError):
        await client.runs.get(await new_thread(client), run["run_id"])
    with pytest.raises(errors.NotFoundError):
        await client.runs.get(run["thread_id"], "no-uuid")


async def test_a_run_without_a_thread_has_a_new_one(client: Any) -> None:
    for _ in range(2):
        state = await client.runs.wait(None, "agent", input=say("hello"))
        assert replies(state) == [{"echo": "hello", "before": 0}]


async def test_metadata_reaches_the_run(client: Any) -> None:
    own = await new_thread(client)
    metadata = {"user": "ann", "level": 3}
    run = await client.runs.create(own, "agent", input=say("hello"), metadata=metadata)
    assert run["metadata"] == {"user": "ann", "level": "3"}


# What goes wrong.


async def test_a_run_that_fails_raises_in_the_client_and_leaves_no_trace(client: Any) -> None:
    own = await new_thread(client)
    with pytest.raises(Exception, match="agent-failed: The agent failed") as caught:
        await client.runs.wait(own, "agent", input=say("raise Exception"))
    assert "secret" not in str(caught.value)
    parts = await collected(client.runs.stream(own, "agent", input=say("raise Exception")))
    assert parts[-1].event == "error"
    assert parts[-1].data["outcome"] == "rolled_back"
    state = await client.runs.wait(own, "agent", input=say("hello"))
    assert replies(state) == [{"echo": "hello", "before": 0}]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"interrupt_before": ["tools"]}, "no nodes"),
        ({"after_seconds": 5}, "cannot be put off"),
        ({"on_completion": "delete"}, "threads.delete"),
        ({"checkpoint_id": "17"}, "last checkpoint"),
        ({"command": {"goto": "tools"}}, "resume"),
        ({"input": {"messages": [{"role": "tool", "content": "7"}]}}, "'tool'"),
        ({"input": {"messages": [{"role": "system", "content": "Be"}, "hi"]}}, "'system'"),
        ({"input": {"question": "hello"}}, "messages"),
        ({"multitask_strategy": "merge"}, "rollback"),
    ],
)
async def test_what_would_be_lost_is_refused_in_words(
    client: Any, more: dict[str, Any], words: str
) -> None:
    with pytest.raises(errors.UnprocessableEntityError, match=words):
        await client.runs.create(None, "agent", **{"input": say("hello"), **more})


async def test_an_image_is_refused_where_the_agent_takes_none(client: Any) -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    content = [{"type": "text", "text": "What is this?"}, image]
    messages = [{"role": "user", "content": content}]
    with pytest.raises(errors.UnprocessableEntityError, match="takes no images"):
        await client.runs.create(None, "agent", input={"messages": messages})


async def test_messages_that_come_together_are_one_turn(client: Any) -> None:
    messages = [{"type": "ai", "content": "known"}, *(say("a")["messages"]), ["human", "b"]]
    state = await client.runs.wait(None, "agent", input={"messages": messages})
    assert texts(state)[0] == "a\nb"


async def test_the_checkpoint_that_was_seen_last_is_gone_on_from(client: Any) -> None:
    own = await new_thread(client)
    await client.runs.wait(own, "agent", input=say("one"))
    last = (await client.threads.get_state(own))["checkpoint"]
    state = await client.runs.wait(own, "agent", input=say("two"), checkpoint=last)
    assert [one["before"] for one in replies(state)] == [0, 2]
    with pytest.raises(errors.UnprocessableEntityError, match="last checkpoint"):
        await client.runs.create(own, "agent", input=say("three"), checkpoint=last)


# Refusals.


async def test_a_full_line_is_a_rate_limit_with_the_time_to_wait(folder: Any) -> None:
    with Server(folder, strategy__max_waiting_per_conversation=1) as server:
        async with connect(server) as client:
            own = await new_thread(client)
            for _ in range(2):
                await client.runs.create(own, "agent", input=say("until later"))
            with pytest.raises(errors.RateLimitError) as caught:
                await client.runs.create(own, "agent", input=say("one too many"))
            with pytest.raises(errors.RateLimitError):
                await collected(client.runs.stream(own, "agent", input=say("one too many")))
            assert int(caught.value.response.headers["retry-after"]) >= 1
            server.let_on("later")


async def test_under_reject_a_busy_thread_is_a_conflict(folder: Any) -> None:
    with Server(folder, strategy__name="reject") as server:
        async with connect(server) as client:
            own = await new_thread(client)
            await client.runs.create(own, "agent", input=say("until later"))
            with pytest.raises(errors.ConflictError):
                await client.runs.create(own, "agent", input=say("hello"))
            strategy = {"multitask_strategy": "enqueue"}
            with pytest.raises(errors.UnprocessableEntityError, match=r'per_turn = \["queue"\]'):
                await client.runs.create(own, "agent", input=say("hello"), **strategy)
            server.let_on("later")


async def test_no_run_chooses_what_the_server_does_not_allow(client: Any) -> None:
    for strategy in ("reject", "interrupt", "rollback"):
        run = {"input": say("hello"), "multitask_strategy": strategy}
        with pytest.raises(errors.UnprocessableEntityError, match="per_turn"):
            await client.runs.create(None, "agent", **run)
    run = {"input": say("hello"), "multitask_strategy": "enqueue"}
    assert (await client.runs.create(None, "agent", **run))["multitask_strategy"] == "enqueue"


# Cancelling, leaving and coming back.


@pytest.mark.parametrize("action", ["interrupt", "rollback"])
async def test_a_cancelled_run_is_interrupted_and_its_stream_ends(
    client: Any, server: Server, action: str
) -> None:
    own = await new_thread(client)
    stream = client.runs.stream(own, "agent", input=say("hang"))
    run = (await anext(stream)).data["run_id"]
    await client.runs.cancel(own, run, wait=True, action=action)
    [last] = await collected(stream)
    assert (last.event, last.data["error"]) == ("error", "turn-cancelled")
    assert (await client.runs.get(own, run))["status"] == "interrupted"
    assert server.history(own) == []


async def test_a_run_is_cancelled_with_its_client_if_that_wants_it(
    client: Any, server: Server
) -> None:
    own = await new_thread(client)
    stream = client.runs.stream(own, "agent", input=say("hang"), on_disconnect="cancel")
    run = (await anext(stream)).data["run_id"]
    server.until_called("hang")
    await stream.aclose()
    await asyncio.to_thread(server.until_ended, run.replace("-", ""))
    assert (await client.runs.get(own, run))["status"] == "interrupted"


async def test_a_run_is_cancelled_with_who_joined_it_if_that_wants_it(
    client: Any, server: Server
) -> None:
    own = await new_thread(client)
    run = (await client.runs.create(own, "agent", input=say("hang")))["run_id"]
    stream = client.runs.join_stream(own, run, cancel_on_disconnect=True)
    await anext(stream)
    await stream.aclose()
    await asyncio.to_thread(server.until_ended, run.replace("-", ""))
    assert (await client.runs.get(own, run))["status"] == "interrupted"


@pytest.mark.filterwarnings("ignore:Request failed, attempting reconnect")
@pytest.mark.filterwarnings("ignore:Reconnecting without a Last-Event-ID")
async def test_clients_come_back_by_themselves_after_a_kill(folder: Any) -> None:
    target, known = "tests.support.agents:counting_attempts", list[Any]()
    with Server(folder, target=target) as server:
        async with connect(server) as client:
            run: dict[str, Any] = {"input": say("until later"), "on_disconnect": "continue"}
            run["on_run_created"] = known.append  # Then it knows where to come back to.
            waiting: Any = asyncio.ensure_future(client.runs.wait("waited", "agent", **run))
            modes = ["messages-tuple", "values"]
            streaming = asyncio.ensure_future(
                collected(client.runs.stream("streamed", "agent", stream_mode=modes, **run))
            )
            await asyncio.to_thread(
                until, lambda: len(known) == len(server.calls()) == 2, "both are known, and run"
            )
            server.kill()
            await asyncio.to_thread(server.start)
            server.let_on("later")
            state, parts = await waiting, await streaming
    for reply in (*replies(state), *replies(parts[-2].data)):
        assert reply == {"echo": "until later", "attempt": 2, "before": 0}
    assert json.loads(spoken(parts))["attempt"] == 2
    assert [part.event for part in parts].count("end") == 1


async def test_a_client_comes_back_for_a_run_that_a_shutdown_puts_off(folder: Any) -> None:
    with Server(folder, server__drain_s=0.1) as server:
        async with connect(server) as client:
            run = await client.runs.create("kept", "agent", input=say("until later"))
            joined = client.runs.join_stream("kept", run["run_id"], stream_mode="values")
            await anext(joined)
            streaming = asyncio.ensure_future(collected(joined))
            await asyncio.to_thread(server.until_called, "until later")
            server.signal(signal.SIGTERM)
            await asyncio.to_thread(server.wait)
            await asyncio.to_thread(server.start)
            server.let_on("later")
            parts = await streaming
    assert [part.event for part in parts][-2:] == ["values", "end"]
    assert "error" not in [part.event for part in parts]


# Questions.


@pytest.fixture(scope="module")
def careful(http: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("careful")
    with Server(folder, target="tests.support.keepers:Careful") as running:
        yield running


async def test_an_approval_is_an_interrupt_and_resume_answers_it(careful: Server) -> None:
    async with connect(careful) as client:
        own = await new_thread(client)
        state = await client.runs.wait(own, "agent", input=say("delete x"))
        [asked] = state["__interrupt__"]
        [action] = asked["value"]["action_requests"]
        assert (action["name"], action["args"]) == ("delete", {"path": "x"})
        thread = await client.threads.get(own)
        assert thread["status"] == "interrupted"
        at_rest = await client.threads.get_state(own)
        assert at_rest["interrupts"] == at_rest["tasks"][0]["interrupts"] == [asked]
        with pytest.raises(errors.UnprocessableEntityError, match="An approval is answered"):
            await client.runs.create(own, "agent", command={"resume": "no"})
        decisions = {"decisions": [{"type": "reject", "message": "not that"}]}
        state = await client.runs.wait(own, "agent", command={"resume": decisions})
        assert '"approve": false, "reason": "not that"' in texts(state)[-1]
        assert (await client.threads.get_state(own))["next"] == []


async def test_a_stream_tells_what_is_asked(careful: Server) -> None:
    async with connect(careful) as client:
        modes = ["updates", "values"]
        run = client.runs.stream(None, "agent", input=say("ask name"), stream_mode=modes)
        parts = await collected(run)
    asked = [{"value": "name?", "id": "name"}]
    assert parts[-3].data == {"__interrupt__": asked}
    assert parts[-2].data["__interrupt__"] == asked


@pytest.mark.parametrize("resume", ["Ada", {"name": "Ada"}])
async def test_a_question_is_answered_with_any_value(careful: Server, resume: Any) -> None:
    async with connect(careful) as client:
        own = await new_thread(client)
        await client.runs.wait(own, "agent", input=say("ask name"))
        state = await client.runs.wait(own, "agent", command={"resume": resume})
        assert '"value": "Ada"' in texts(state)[-1]


async def test_several_questions_are_answered_by_their_ids(careful: Server) -> None:
    async with connect(careful) as client:
        own = await new_thread(client)
        await client.runs.wait(own, "agent", input=say("ask name, town"))
        with pytest.raises(errors.UnprocessableEntityError, match="for the id of each"):
            await client.runs.create(own, "agent", command={"resume": "Ada"})
        answers = {"name": "Ada", "town": "London"}
        state = await client.runs.wait(own, "agent", command={"resume": answers})
        assert '"value": "London"' in texts(state)[-1]
        with pytest.raises(errors.UnprocessableEntityError, match="Nothing is open"):
            await client.runs.create(own, "agent", command={"resume": "Ada"})


async def test_a_message_does_not_pass_over_a_question(careful: Server) -> None:
    async with connect(careful) as client:
        own = await new_thread(client)
        await client.runs.wait(own, "agent", input=say("ask name"))
        with pytest.raises(Exception, match="input-required"):
            await client.runs.wait(own, "agent", input=say("hello"))


# Callers.


async def test_callers_are_known_by_their_key_and_see_their_own_alone(folder: Any) -> None:
    with Server(folder, **TOKENS) as server:
        with pytest.raises(errors.AuthenticationError):
            async with connect(server, "another") as stranger:
                await stranger.threads.search()
        async with connect(server, "a-token") as ann, connect(server, "b-token") as bob:
            run = await ann.runs.create("shared", "agent", input=say("until later"))
            for call in (bob.runs.get, bob.runs.join, bob.runs.cancel):
                with pytest.raises(Exception, match=r"404|not yours"):
                    await call("shared", run["run_id"])
            assert await bob.threads.search() == []
            state = await bob.runs.wait("shared", "agent", input=say("hello"))
            assert replies(state) == [{"echo": "hello", "before": 0}]
            server.let_on("later")
            assert replies(await ann.runs.join("shared", run["run_id"]))[0]["before"] == 0


# Without a client.


def test_a_document_that_is_awaited_begins_at_once(server: Server) -> None:
    """So that a proxy sees that it lives, and a client where to come back to."""
    body = {"assistant_id": "agent", "input": say("hello")}
    answer = post(server, "/threads/plain/runs/wait", body)
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["location"] == answer.headers["content-location"] + "/join"


def post(server: Server, path: str, body: object) -> Answer:
    """Of an answer whose length is not told at its head."""
    with closing(HTTPConnection("127.0.0.1", server.port, timeout=10)) as connection:
        headers = {"content-type": "application/json"}
        connection.request("POST", f"/langgraph{path}", json.dumps(body), headers)
        response = connection.getresponse()
        named = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, named, response.read(), 0.0)

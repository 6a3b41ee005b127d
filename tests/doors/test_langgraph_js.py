"""The LangGraph door, through its official client for JavaScript."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from subprocess import Popen
from typing import Any

import pytest

from tests.doors import node
from tests.support.client import until
from tests.support.server import Knobs, Server

node.need("@langchain/langgraph-sdk")


def say(message: str, **more: object) -> dict[str, Any]:
    return {"input": {"messages": [{"role": "user", "content": message}]}, **more}


def start(server: Server, *steps: Any, key: str | None = None, **more: object) -> Popen[str]:
    url = f"http://127.0.0.1:{server.port}/langgraph"
    return node.start("langgraph.cjs", {"url": url, "key": key, "steps": steps, **more})


def run(server: Server, *steps: Any, key: str | None = None, **more: object) -> Any:
    return node.result(start(server, *steps, key=key, **more))


def replies(state: Any) -> list[Any]:
    return [json.loads(one["content"]) for one in state["messages"] if one["type"] == "ai"]


def events(done: Any) -> list[str]:
    return [part["event"] for part in done["parts"]]


@pytest.fixture
def careful(tmp_path: Path) -> Iterator[Server]:
    with Server(tmp_path, target="tests.support.keepers:careful") as running:
        yield running


def test_a_thread_is_made_and_goes_on_with_each_run(server: Server) -> None:
    made, first, second, thread, states = run(
        server,
        ["threads.create", {"threadId": "js"}],
        ["runs.wait", "js", "agent", say("one")],
        ["runs.wait", "js", "agent", say("two")],
        ["threads.get", "js"],
        ["threads.getHistory", "js"],
    )
    assert made["value"]["thread_id"] == "js"
    assert replies(first["value"]) == [{"echo": "one", "before": 0}]
    assert replies(second["value"])[1] == {"echo": "two", "before": 2}
    assert thread["value"]["values"]["messages"][0]["content"] == "one"
    assert [len(state["values"]["messages"]) for state in states["value"]] == [4, 2]


def test_the_assistant_is_found_and_a_thread_is_forgotten(server: Server) -> None:
    found, _, gone, thread = run(
        server,
        ["assistants.search"],
        ["runs.wait", "forgotten", "agent", say("one")],
        ["threads.delete", "forgotten"],
        ["threads.get", "forgotten"],
    )
    assert [one["graph_id"] for one in found["value"]] == ["agent"]
    assert "error" not in gone
    assert thread["value"]["values"] is None


def test_a_stream_tells_the_reply_in_pieces_and_then_the_state(tmp_path: Path) -> None:
    modes = ["messages-tuple", "values"]
    with Server(tmp_path, target="tests.support.agents:pieces") as server:
        [done] = run(server, ["runs.stream", None, "agent", say("a b c", streamMode=modes)])
    # Pieces that are there at the same time come as one.
    assert list(dict.fromkeys(events(done))) == ["metadata", "messages", "values", "end"]
    said = [part["data"][0] for part in done["parts"] if part["event"] == "messages"]
    assert "".join(one["content"] for one in said) == "a b c "
    last = done["parts"][-2]["data"]["messages"][-1]
    assert (last["content"], last["id"]) == ("a b c ", said[0]["id"])


def test_three_at_once_are_answered_one_after_another(server: Server) -> None:
    steps = [["runs.wait", "at-once", "agent", say(f"sleep 0.1 {n}")] for n in range(3)]
    done = run(server, *steps, together=True)
    own = [replies(one["value"])[-1] for one in done]
    assert sorted(one["before"] for one in own) == [0, 2, 4]
    assert {one["echo"] for one in own} == {f"sleep 0.1 {n}" for n in range(3)}


def test_a_run_in_the_background_is_joined_in_both_ways(server: Server) -> None:
    made, state, stream, shown = run(
        server,
        ["runs.create", "joined", "agent", say("sleep 0.1")],
        ["runs.join", "joined", "$run"],
        ["runs.joinStream", "joined", "$run", {"streamMode": ["values"]}],
        ["runs.get", "joined", "$run"],
    )
    assert made["value"]["status"] in ("pending", "running")
    assert replies(state["value"]) == [{"echo": "sleep 0.1", "before": 0}]
    assert stream["parts"][-2]["data"] == state["value"]
    assert shown["value"]["status"] == "success"


@pytest.mark.parametrize("waits", [True, False])
def test_a_run_is_cancelled(server: Server, waits: bool) -> None:
    thread = f"cancelled-{waits}"
    _, cancelled, joined, shown = run(
        server,
        ["runs.create", thread, "agent", say("hang")],
        ["runs.cancel", thread, "$run", waits],
        ["runs.join", thread, "$run"],
        ["runs.get", thread, "$run"],
    )
    assert "error" not in cancelled
    assert joined["value"]["__error__"]["error"] == "turn-cancelled"
    assert shown["value"]["status"] == "interrupted"


def test_a_run_that_fails_raises_in_the_client(server: Server) -> None:
    waited, streamed = run(
        server,
        ["runs.wait", None, "agent", say("raise ValueError")],
        ["runs.stream", None, "agent", say("raise ValueError", streamMode="values")],
    )
    assert waited["error"].startswith("agent-failed: The agent failed. ")
    assert events(streamed)[-1] == "error"


def test_a_refusal_has_its_status_and_its_words_and_is_not_tried_again(tmp_path: Path) -> None:
    with Server(tmp_path, strategy__name="reject") as server:
        held = server.ask("until end", "t")
        waited, streamed, wrong = run(
            server,
            ["runs.wait", "t", "agent", say("second")],
            ["runs.stream", "t", "agent", say("third", streamMode="values")],
            ["runs.create", "t", "agent", say("fourth", interruptBefore=["tools"])],
        )
        server.let_on("end")
        server.until_ended(held)
        calls = server.calls()
    assert waited["status"] == streamed["status"] == 409
    assert "A turn of this conversation is running" in waited["error"]
    assert wrong["status"] == 422
    assert "no nodes" in wrong["error"]
    assert calls == ["began until end", "ended until end"]


def test_a_full_line_and_a_full_server_are_told_at_once(tmp_path: Path) -> None:
    names = "max_waiting_per_conversation", "max_running", "max_waiting"
    knobs: Knobs = {f"strategy__{name}": 1 for name in names}
    with Server(tmp_path, **knobs) as server:
        server.ask("until end", "t")
        server.ask("second", "t")
        of_thread, of_server = run(
            server,
            ["runs.create", "t", "agent", say("third")],
            ["runs.create", "other", "agent", say("fourth")],
        )
        server.let_on("end")
    assert (of_thread["status"], of_server["status"]) == (429, 503)


def test_a_question_is_an_interrupt_and_resume_answers_it(careful: Server) -> None:
    decisions = {"decisions": [{"type": "approve"}]}
    asked, thread, done = run(
        careful,
        ["runs.wait", "t", "agent", say("delete x")],
        ["threads.get", "t"],
        ["runs.wait", "t", "agent", {"command": {"resume": decisions}}],
    )
    [interrupt] = asked["value"]["__interrupt__"]
    assert interrupt["value"]["action_requests"][0]["args"] == {"path": "x"}
    assert thread["value"]["status"] == "interrupted"
    assert '"approve": true' in done["value"]["messages"][-1]["content"]
    assert "__interrupt__" not in done["value"]


@pytest.mark.parametrize("resume", ["Ada", {"name": "Ada"}])
def test_a_question_is_asked_in_a_stream_and_answered_in_one(careful: Server, resume: Any) -> None:
    modes = {"streamMode": ["updates", "values"]}
    asked, done = run(
        careful,
        ["runs.stream", "t", "agent", say("ask name", **modes)],
        ["runs.stream", "t", "agent", {"command": {"resume": resume}, **modes}],
    )
    assert {"__interrupt__": [{"value": "name?", "id": "name"}]} in [
        part["data"] for part in asked["parts"]
    ]
    assert '"value": "Ada"' in done["parts"][-2]["data"]["messages"][-1]["content"]


def test_a_stream_comes_back_by_itself_after_a_kill(tmp_path: Path) -> None:
    with Server(tmp_path, target="tests.support.agents:counting_attempts") as server:
        asked = say("until later", streamMode=["values"], onDisconnect="continue")
        streaming = start(server, ["runs.stream", "t", "agent", asked])
        assert streaming.stderr is not None
        assert streaming.stderr.readline() == "known\n"  # Now it knows where to come back to.
        until(lambda: len(server.calls()) == 1, "the agent is called")
        server.kill()
        server.start()
        server.let_on("later")
        [done] = node.result(streaming)
    assert replies(done["parts"][-2]["data"]) == [
        {"echo": "until later", "attempt": 2, "before": 0}
    ]
    assert events(done)[-1] == "end"


def test_a_caller_is_known_by_its_key_and_sees_its_own_alone(tmp_path: Path) -> None:
    with Server(tmp_path, server__tokens=["ann:a-token", "bob:b-token"]) as server:
        [anns] = run(server, ["runs.wait", "shared", "agent", say("one")], key="a-token")
        bobs, searched = run(
            server,
            ["threads.get", "shared"],
            ["threads.search"],
            key="b-token",
        )
        [stranger] = run(server, ["threads.search"], key="another")
    assert replies(anns["value"]) == [{"echo": "one", "before": 0}]
    assert (bobs["value"]["values"], searched["value"]) == (None, [])
    assert stranger["status"] == 401

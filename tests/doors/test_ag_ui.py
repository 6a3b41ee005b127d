"""The door of AG-UI, through its official client: 1.0, and the last version before it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from subprocess import Popen
from typing import Any

import pytest

from tests.doors import node
from tests.support.client import until
from tests.support.server import Server

node.need("@ag-ui/client", "@ag-ui/client-before")
core = pytest.importorskip("ag_ui.core")
pydantic = pytest.importorskip("pydantic")

EVENT = pydantic.TypeAdapter(core.Event)
NOW, BEFORE = "@ag-ui/client", "@ag-ui/client-before"

BOTH = pytest.mark.parametrize("package", [NOW, BEFORE])


class Client:
    """Runs AG-UI's client against a server."""

    def __init__(self, server: Server, package: str = NOW, token: str = "", **headers: str) -> None:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if token:
            named["authorization"] = f"Bearer {token}"
        url = f"http://127.0.0.1:{server.port}/ag-ui"
        self.headers = named
        self.plan = {"package": package, "url": url, "headers": named}

    def start(self, thread: str, *steps: dict[str, Any], together: bool = False) -> Popen[str]:
        plan = {**self.plan, "threadId": thread, "steps": steps, "together": together}
        return node.start("ag_ui.cjs", plan)

    def run(self, thread: str, *steps: dict[str, Any], together: bool = False) -> Any:
        done = node.result(self.start(thread, *steps, together=together))
        for one in done:
            for event in one["events"]:
                EVENT.validate_python(event)
        return done

    def say(self, thread: str, *texts: str) -> Any:
        return self.run(thread, *({"say": text} for text in texts))


def replies(done: list[Any]) -> list[str]:
    return [one["newMessages"][-1]["content"] for one in done]


def kinds(done: Any) -> list[str]:
    return [event.get("name", event["type"]) for event in done["events"]]


@pytest.fixture
def careful(tmp_path: Path) -> Iterator[Server]:
    with Server(tmp_path, target="tests.support.keepers:careful") as running:
        yield running


@BOTH
def test_several_turns_in_one_thread_are_one_conversation(server: Server, package: str) -> None:
    thread = f"several{package[-6:]}"
    done = Client(server, package).say(thread, "one", "two")
    assert [json.loads(reply) for reply in replies(done)] == [
        {"echo": "one", "before": 0},
        {"echo": "two", "before": 2},
    ]
    assert [one["content"] for one in server.history(thread)][::2] == ["one", "two"]
    assert kinds(done[0])[0] == "RUN_STARTED"
    assert kinds(done[0])[-4:] == [
        "TEXT_MESSAGE_START", "TEXT_MESSAGE_CONTENT", "TEXT_MESSAGE_END", "RUN_FINISHED",
    ]  # fmt: skip


def test_a_thread_that_was_begun_here_goes_on_through_chat(server: Server) -> None:
    Client(server).say("shared", "one")
    assert json.loads(server.chat("two", "shared").json["response"])["before"] == 2


@BOTH
def test_three_runs_at_once_are_answered_one_after_another(server: Server, package: str) -> None:
    thread = f"at-once{package[-6:]}"
    steps = [{"say": f"sleep 0.1 {number}"} for number in range(3)]
    done = Client(server, package).run(thread, *steps, together=True)
    assert sorted(json.loads(reply)["before"] for reply in replies(done)) == [0, 2, 4]
    places = [
        event["value"]["position"]
        for one in done
        for event in one["events"]
        if event.get("name") == "turnline.position"
    ]
    assert max(places) == 2


@BOTH
def test_what_the_agent_thinks_and_does_is_told_in_order(tmp_path: Path, package: str) -> None:
    with Server(tmp_path, target="tests.support.keepers:working") as server:
        (done,) = Client(server, package).say("t", "1 then")
    told = [kind for kind in kinds(done) if not kind.startswith("turnline.")]
    assert told == [
        "RUN_STARTED",
        "REASONING_START", "REASONING_MESSAGE_START", "REASONING_MESSAGE_CONTENT",
        "REASONING_MESSAGE_END", "REASONING_END",
        "TEXT_MESSAGE_START", "TEXT_MESSAGE_CONTENT", "TEXT_MESSAGE_END",
        "TOOL_CALL_START", "TOOL_CALL_ARGS", "TOOL_CALL_END", "TOOL_CALL_RESULT",
        "TEXT_MESSAGE_START", "TEXT_MESSAGE_CONTENT", "TEXT_MESSAGE_END",
        "RUN_FINISHED",
    ]  # fmt: skip
    assert done["events"][-1]["usage"] == [{"inputTokens": 12, "outputTokens": 3}]
    messages = {one["role"]: one for one in done["newMessages"]}
    assert messages["tool"]["content"] == '{"seen":0}'
    assert messages["assistant"]["content"] == "All seen."


def test_an_output_is_the_result_of_the_run(tmp_path: Path) -> None:
    with Server(tmp_path, target="tests.support.keepers:outputs") as server:
        (done,) = Client(server).say("t", "list")
    assert done["result"] == [1, "two"]


@BOTH
def test_a_refusal_is_a_status_with_words_and_what_to_wait(tmp_path: Path, package: str) -> None:
    with Server(tmp_path, strategy__name="reject") as server:
        held = server.ask("until end", "t")
        (refused,) = Client(server, package).say("t", "second")
        server.let_on("end")
        server.until_ended(held)
    assert refused["status"] == 409
    assert "A turn of this conversation is running. " in refused["error"]
    assert refused["payload"]["outcome"] == "not_started"
    assert refused["payload"]["retry_after_s"] > 0
    assert server.calls() == ["began until end", "ended until end"]


def test_a_full_line_is_429(tmp_path: Path) -> None:
    with Server(tmp_path, strategy__max_waiting_per_conversation=1) as server:
        server.ask("until end", "t")
        server.ask("second", "t")
        (refused,) = Client(server).say("t", "third")
        answer = server.request("POST", "/ag-ui", run_input("t", "fourth"))
        server.let_on("end")
    assert refused["status"] == answer.status == 429
    assert refused["payload"]["type"].endswith("conversation-queue-full")
    assert int(answer.headers["retry-after"]) >= 1


def test_a_full_server_is_503(tmp_path: Path) -> None:
    with Server(tmp_path, strategy__max_waiting=1) as server:
        server.ask("until end", "t")
        server.ask("second", "t")
        (refused,) = Client(server).say("t", "third")
        server.let_on("end")
    assert refused["status"] == 503
    assert refused["payload"]["type"].endswith("server-full")


def test_a_turn_that_waited_too_long_ends_its_run_with_an_error(tmp_path: Path) -> None:
    with Server(tmp_path, strategy__max_wait_s=0.2) as server:
        server.ask("until end", "t")
        (done,) = Client(server).say("t", "late")
        server.let_on("end")
    last = done["events"][-1]
    assert (last["type"], last["code"]) == ("RUN_ERROR", "wait-expired")
    problem = done["events"][-2]["value"]
    assert (problem["status"], problem["outcome"]) == (503, "not_started")


@BOTH
def test_a_failure_of_the_agent_is_an_error_without_its_secrets(
    server: Server, package: str
) -> None:
    thread = f"fails{package[-6:]}"
    failed, after = Client(server, package).say(thread, "raise Exception", "next")
    assert failed["events"][-1]["type"] == "RUN_ERROR"
    assert failed["events"][-1]["code"] == "agent-failed"
    assert "secret" not in json.dumps(failed)
    assert json.loads(after["newMessages"][-1]["content"]) == {"echo": "next", "before": 0}


@pytest.mark.parametrize(("package", "last"), [(NOW, "RUN_FINISHED"), (BEFORE, "RUN_ERROR")])
def test_a_cancelled_turn_ends_its_run(server: Server, package: str, last: str) -> None:
    thread = f"cancelled{package[-6:]}"
    running = Client(server, package).start(thread, {"say": f"hang {package}"})
    server.until_called(f"hang {package}")
    server.cancel(server.turn_of(thread)["turn_id"])
    (done,) = node.result(running)
    assert done["events"][-1]["type"] == last
    if package == NOW:
        assert done["events"][-1]["outcome"] == {"type": "cancelled"}
    assert server.history(thread) == []


@BOTH
def test_a_client_that_stops_cancels_its_turn_if_it_says_so(server: Server, package: str) -> None:
    client, thread = Client(server, package, prefer="on-disconnect=cancel"), f"stops{package[-6:]}"
    client.run(thread, {"say": f"hang {thread}", "abortAt": "turnline.started"})
    until(lambda: f"ended hang {thread}" in server.calls(), "the turn is stopped")
    assert server.history(thread) == []


@BOTH
def test_a_client_that_stops_leaves_a_running_turn_alone(server: Server, package: str) -> None:
    thread = f"leaves{package[-6:]}"
    Client(server, package).run(thread, {"say": "sleep 0.3 on", "abortAt": "turnline.started"})
    until(lambda: len(server.history(thread)) == 2, "the turn is kept")


def test_the_newest_run_stops_the_one_that_runs(tmp_path: Path) -> None:
    with Server(tmp_path, strategy__name="interrupt") as server:
        first = Client(server).start("t", {"say": "hang"})
        server.until_called("hang")
        (second,) = Client(server).say("t", "second")
        (stopped,) = node.result(first)
    assert json.loads(replies([second])[0])["echo"] == "second"
    assert stopped["events"][-1]["outcome"] == {"type": "cancelled"}
    assert stopped["events"][-2]["value"]["type"].endswith("turn-interrupted")


def test_after_a_kill_a_client_with_a_key_gets_the_same_turn(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        first = Client(server, idempotency_key="k1").start("t", {"say": "until end"})
        server.until_called("until end")
        server.kill()
        (broken,) = node.result(first)
        assert "error" in broken
        server.start()
        server.let_on("end")
        (done,) = Client(server, idempotency_key="k1").say("t", "until end")
        history = server.history("t")
    assert json.loads(replies([done])[0]) == {"echo": "until end", "before": 0}
    assert len(history) == 2


@BOTH
def test_a_tool_that_needs_approval_is_an_interrupt(careful: Server, package: str) -> None:
    steps = {"say": "delete x"}, {"resume": {"approved": False, "reason": "keep it"}}
    asked, denied = Client(careful, package).run("t", *steps)
    (interrupt,) = asked["events"][-1]["outcome"]["interrupts"]
    assert interrupt["id"] == "r1"
    assert (interrupt["reason"], interrupt["message"]) == ("tool_call", "Delete x?")
    assert interrupt["metadata"] == {"name": "delete", "arguments": {"path": "x"}}
    assert '"approve": false, "reason": "keep it"' in replies([denied])[0]


@BOTH
def test_questions_are_answered_after_a_restart(careful: Server, package: str) -> None:
    (asked,) = Client(careful, package).run("t", {"say": "ask who, where"})
    interrupts = asked["events"][-1]["outcome"]["interrupts"]
    assert [one["message"] for one in interrupts] == ["who?", "where?"]
    careful.kill()
    careful.start()
    answers = [
        {"interruptId": one["id"], "status": "resolved", "payload": "me"} for one in interrupts
    ]
    (done,) = Client(careful, package).run("t", {"say": "ask who, where", "answers": answers})
    assert '"value": "me"' in replies([done])[0]


def test_interrupts_that_are_cancelled_are_dropped(careful: Server) -> None:
    Client(careful).run("t", {"say": "delete x"}, {"resume": None})
    assert careful.chat("hello", "t").json["response"] == "done: hello"


def test_a_message_beside_the_answers_is_refused_and_not_lost(careful: Server) -> None:
    Client(careful).run("t", {"say": "delete x"})
    resume = [{"interruptId": "r1", "status": "cancelled"}]
    answer = careful.request("POST", "/ag-ui", run_input("t", "something else", resume=resume))
    assert answer.status == 422
    assert "first" in answer.json["message"]


def test_a_message_while_interrupts_are_open_is_told_what_is_open(careful: Server) -> None:
    Client(careful).run("t", {"say": "delete x"})
    (done,) = Client(careful).say("t", "hello")
    assert done["events"][-1]["code"] == "input-required"
    assert done["events"][-2]["value"]["requests"][0]["id"] == "r1"


def test_callers_have_threads_of_their_own(tmp_path: Path) -> None:
    with Server(tmp_path, server__tokens=["ann:a-token", "bob:b-token"]) as server:
        Client(server, token="a-token").say("t", "mine")
        (bobs,) = Client(server, token="b-token").say("t", "mine")
        (stranger,) = Client(server).say("t", "mine")
    assert json.loads(replies([bobs])[0])["before"] == 0
    assert stranger["status"] == 401


def test_parts_reach_an_agent_that_takes_them(tmp_path: Path) -> None:
    data = {"type": "data", "value": "cGljdHVyZQ==", "mimeType": "image/png"}
    url = {"type": "url", "value": "https://example.org/a.pdf", "mimeType": "application/pdf"}
    parts = [
        {"type": "text", "text": "look"},
        {"type": "image", "source": data},
        {"type": "document", "source": url, "metadata": {"filename": "a.pdf"}},
        {"type": "binary", "mimeType": "image/png", "url": "https://example.org/a.png"},
    ]
    with Server(tmp_path, target="tests.support.keepers:parts_of") as server:
        (done,) = Client(server).run("t", {"say": parts})
        audio = {"type": "audio", "source": data}
        refused = server.request("POST", "/ag-ui", run_input("t", [audio]))
    assert json.loads(replies([done])[0])["parts"] == [
        {"type": "text", "text": "look"},
        {"type": "image", "media_type": "image/png", "data": "cGljdHVyZQ=="},
        {
            "type": "file",
            "name": "a.pdf",
            "media_type": "application/pdf",
            "url": "https://example.org/a.pdf",
        },
        {"type": "image", "url": "https://example.org/a.png"},
    ]
    assert refused.status == 422


def test_images_are_refused_by_an_agent_that_takes_none(server: Server) -> None:
    url = {"type": "url", "value": "https://example.org/a.png"}
    (refused,) = Client(server).run("t", {"say": [{"type": "image", "source": url}]})
    assert refused["status"] == 422
    assert "takes no images" in refused["error"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"threadId": None},
        {"threadId": "a/b"},
        {"runId": 7},
        {"runId": "\ud800"},
        {"messages": []},
        {"messages": "hello"},
        {"messages": [{"id": "m", "role": "assistant", "content": "hello"}]},
        {"messages": [{"id": "m", "role": "tool", "toolCallId": "c", "content": "hello"}]},
        {"messages": [None]},
        {"messages": [{"id": "m", "role": "user", "content": ""}]},
        {"messages": [{"id": "m", "role": "user", "content": {}}]},
        {"resume": [{}]},
        {"resume": "x"},
    ],
)
def test_a_run_that_cannot_be_read_is_refused(server: Server, wrong: dict[str, Any]) -> None:
    began = time.monotonic()
    answer = server.request("POST", "/ag-ui", {**run_input("t", "hello"), **wrong})
    assert answer.status == 422, answer
    assert time.monotonic() - began < 5
    assert answer.json["outcome"] == "not_started"


def run_input(thread: str, content: object, **more: object) -> dict[str, Any]:
    message = {"id": "m", "role": "user", "content": content}
    return {"threadId": thread, "runId": "r", "messages": [message], "state": {}, **more}

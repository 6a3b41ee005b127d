"""What is answered besides a text, over real sockets: JSON, requests, events, and who asks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.client import Answer
from tests.support.events import Event, Stream, text_of
from tests.support.server import Server

KEEPERS = "tests.support.keepers"


def serve(name: str, tmp_path_factory: pytest.TempPathFactory, **knobs: object) -> Server:
    return Server(tmp_path_factory.mktemp(name), target=f"{KEEPERS}:{name}", **knobs)


@pytest.fixture(scope="module")
def outputs(http: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serve("outputs", tmp_path_factory) as running:
        yield running


@pytest.fixture(scope="module")
def careful(http: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serve("careful", tmp_path_factory, strategy__per_turn=["interrupt"]) as running:
        yield running


@pytest.fixture(scope="module")
def asking(http: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serve("asking", tmp_path_factory) as running:
        yield running


@pytest.fixture(scope="module")
def working(http: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serve("working", tmp_path_factory) as running:
        yield running


# A reply that is more than a text.


@pytest.mark.parametrize(
    ("name", "output"),
    [
        ("dict", {"a": [1, None, True, {"b": "ü"}]}),
        ("empty", {}),
        ("list", [1, "two"]),
        ("dataclass", {"x": 1, "y": 0, "names": ["p"]}),
        ("model", {"x": 1, "inner": {"y": 0.5}}),
        ("nan", {"x": None}),
    ],
)
def test_a_reply_that_is_no_text_is_given_as_json_and_as_its_text(
    outputs: Server, name: str, output: Any
) -> None:
    for _ in range(2):  # The second time under the same key, so it comes out of what is kept.
        reply = outputs.chat(name, f"o-{name}", idempotency_key=name).json
        assert reply["output"] == output
        assert json.loads(reply["response"]) == output
    shown = outputs.turn(reply["turn_id"])
    assert (shown["output"], shown["response"]) == (output, reply["response"])
    assert outputs.history(f"o-{name}")[1]["content"] == reply["response"]


def test_a_text_has_no_output(outputs: Server) -> None:
    assert "output" not in outputs.chat("plain").json


@pytest.mark.parametrize("name", ["object", "surrogate", "class", "large", "round"])
def test_what_cannot_be_sent_fails_the_turn(outputs: Server, name: str) -> None:
    """I-15"""
    answer = outputs.chat(name, f"w-{name}")
    assert (answer.status, answer.cause) == (502, "agent-failed")
    assert outputs.history(f"w-{name}") == []


def test_an_output_is_found_after_a_restart(folder: Path) -> None:
    with Server(folder, target=f"{KEEPERS}:outputs", store__url="sqlite:///x.db") as server:
        reply = server.chat("dict", idempotency_key="k").json
        server.kill()
        server.start()
        again = server.chat("dict", idempotency_key="k").json
        assert again["output"] == reply["output"] == server.turn(reply["turn_id"])["output"]


# What an agent needs a person for.

REQUEST = {
    "id": "r1",
    "kind": "approval",
    "prompt": "Delete x?",
    "name": "delete",
    "arguments": {"path": "x"},
}


def resume(server: Server, conversation: str, answers: object, **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    content = {"conversation_id": conversation, "resume": answers}
    return server.request("POST", "/chat", content, named)


def test_a_turn_that_needs_a_person_is_answered_with_what_it_needs(careful: Server) -> None:
    answer = careful.chat("delete x", "asks")
    assert answer.status == 200
    assert answer.json["status"] == "input_required"
    assert answer.json["requests"] == [REQUEST]
    assert (answer.json["response"], answer.json["turn"]) == ("", 1)
    done = resume(careful, "asks", {"r1": {"approve": True, "value": [1], "reason": "fine"}})
    assert (done.status, done.json["status"]) == (200, "success")
    assert '{"r1": {"approve": true, "reason": "fine", "value": [1]}}' in done.json["response"]


def test_a_plain_message_meanwhile_is_a_409_with_the_requests(careful: Server) -> None:
    careful.chat("delete x", "plain")
    answer = careful.chat("hello", "plain")
    assert (answer.status, answer.cause) == (409, "input-required")
    assert answer.json["requests"] == [REQUEST]
    assert answer.headers["turn-outcome"] == answer.json["outcome"] == "not_started"
    assert "retry-after" not in answer.headers, "to ask again helps nobody"


def test_answers_that_do_not_fit_are_a_422_at_resume(careful: Server) -> None:
    careful.chat("delete x", "wrong")
    for answers in ({"r2": {"approve": True}}, {"r1": {"approve": True}, "x": {"approve": True}}):
        answer = resume(careful, "wrong", answers)
        assert (answer.status, answer.cause) == (422, "wrong-field")
        assert answer.json["pointer"] == "/resume"
        assert answer.json["outcome"] == "not_started"
    assert resume(careful, "wrong", "cancel").status == 200
    assert careful.chat("hello", "wrong").json["response"] == "done: hello"


def test_a_poll_of_a_background_turn_shows_the_requests(careful: Server) -> None:
    shown = careful.until_ended(careful.ask("delete x", "poll"))
    assert (shown["state"], shown["status"]) == ("answered", "input_required")
    assert shown["requests"] == [REQUEST]
    answer = careful.chat("hello", "poll", prefer="respond-async")
    assert answer.status == 409, "it ended at once, so it is not promised to run"
    refused = careful.turn(answer.json["turn_id"])
    assert refused["problem"]["status"] == 409
    assert refused["problem"]["requests"] == [REQUEST]
    assert refused["outcome"] == "not_started"


def test_a_stream_of_a_turn_that_needs_a_person_ends_with_that(careful: Server) -> None:
    with Stream(careful.port, "delete x", "stream") as stream:
        last = stream.rest()[-1]
    assert (last.kind, last.data["requests"]) == ("input_required", [REQUEST])
    with Stream(careful.port, turn=last.data["turn_id"]) as again:
        assert again.rest()[-1].kind == "input_required"
    with Stream(careful.port, turn=last.data["turn_id"], after=last.id) as ended:
        assert ended.status == 204


def test_the_stream_of_one_who_waits_behind_a_question_ends_with_the_problem(
    careful: Server,
) -> None:
    first = careful.ask("sleep 0.3", "behind")
    asks = careful.ask("delete x", "behind")
    with Stream(careful.port, "hello", "behind") as stream:
        last = stream.rest()[-1]
    assert (last.kind, last.data["status"]) == ("failed", 409)
    assert last.data["requests"] == [REQUEST]
    assert [careful.turn(one)["state"] for one in (first, asks)] == ["answered", "answered"]


def test_answers_may_be_streamed_and_run_in_the_background(careful: Server) -> None:
    careful.chat("delete x", "back")
    accepted = resume(careful, "back", {"r1": {"approve": False}}, prefer="respond-async")
    assert accepted.status == 202
    assert careful.until_ended(accepted.json["turn_id"])["status"] == "success"


def test_requests_survive_a_kill(folder: Path) -> None:
    """I-18, I-28"""
    with Server(folder, target=f"{KEEPERS}:careful", store__url="sqlite:///x.db") as server:
        asked = server.chat("delete x", idempotency_key="k").json
        server.kill()
        server.start()
        assert server.chat("hello").json["requests"] == asked["requests"]
        assert server.chat("delete x", idempotency_key="k").json["requests"] == asked["requests"]
        assert server.turn(asked["turn_id"])["requests"] == asked["requests"]
        done = resume(server, "default", {"r1": {"approve": True}}).json
        assert (done["turn"], done["status"]) == (2, "success")
        assert server.calls().count("tool delete x") == 1


@pytest.mark.parametrize("message", ["no arguments", "empty arguments"])
def test_a_tool_without_arguments_is_named(asking: Server, message: str) -> None:
    (request,) = asking.chat(message, message.replace(" ", "-")).json["requests"]
    assert (request["name"], request.get("arguments", {})) == ("reset", {})
    assert ("arguments" in request) == (message == "empty arguments")


def test_a_question_has_no_tool(asking: Server) -> None:
    (request,) = asking.chat("ask Colour?", "question").json["requests"]
    assert {**request, "id": "x"} == {"id": "x", "kind": "question", "prompt": "Colour?"}


def test_refusals_for_a_question_are_counted_as_refused(folder: Path) -> None:
    """I-9"""
    with Server(folder, target=f"{KEEPERS}:careful") as server:
        server.chat("delete x")
        server.chat("hello")
        resume(server, "default", {"wrong": {"approve": True}})
        turns = server.health()["turns"]
        assert (turns["answered"], turns["refused"], turns["accepted"]) == (1, 2, 3)


# What it does meanwhile.


def told(events: list[Event]) -> list[tuple[str, Any]]:
    """All but where it stands; deltas that were joined are not joined again."""
    kinds = ("", "queued", "position", "started")
    return [(one.kind, one.data) for one in events if one.kind not in kinds]


def test_tool_calls_thoughts_and_usage_are_told_in_their_order(working: Server) -> None:
    with Stream(working.port, "2 ", "order") as stream:
        events = stream.rest()
    shown = told(events)
    assert shown[:-1] == [
        ("reasoning", {"text": "I had better look."}),
        ("delta", {"text": "step 0. "}),
        ("tool_call", {"id": "c0", "name": "look", "arguments": {"at": 0}}),
        ("tool_result", {"id": "c0", "name": "look", "content": {"seen": 0}}),
        ("delta", {"text": "step 1. "}),
        ("tool_call", {"id": "c1", "name": "look", "arguments": {"at": 1}}),
        ("tool_result", {"id": "c1", "name": "look", "content": {"seen": 1}}),
        ("delta", {"text": "All seen."}),
        ("usage", {"input_tokens": 12, "output_tokens": 6}),
    ]
    assert shown[-1][1]["response"] == "step 0. step 1. All seen."
    ids = [one.id for one in events if one.kind]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("at_work", [True, False], ids=["at work", "ended"])
def test_a_stream_resumed_after_any_of_its_events_tells_exactly_the_rest(
    working: Server, at_work: bool
) -> None:
    conversation, file = f"resumed-{at_work}", f"go-on-{at_work}"
    message = f"3 until {file}"
    with Stream(working.port, message, conversation) as stream:
        events: list[Event] = []
        for event in stream:
            events += [event] if event.kind else []
            if event.id.endswith("-7"):  # The last one before it waits.
                break
        turn = working.turn_of(conversation)["turn_id"]
        if not at_work:
            working.let_on(file)
            events += [one for one in stream.rest() if one.kind]
    for place, event in enumerate(events):
        rest = events[place + 1 :]
        with Stream(working.port, turn=turn, after=event.id) as again:
            if not rest:
                assert at_work or again.status == 204
                continue
            found = [next(e for e in again if e.kind) for _ in rest]
        assert text_of(found) == text_of(rest)
        assert [(e.kind, e.data) for e in found if e.kind not in ("delta", "queued")] == [
            (e.kind, e.data) for e in rest if e.kind not in ("delta", "queued")
        ]
    working.let_on(file)
    working.until_quiet()


def test_a_client_without_a_stream_is_told_the_words_alone(working: Server) -> None:
    reply = working.chat("2 ", "plain").json
    assert reply["response"] == "step 0. step 1. All seen."
    assert not {"usage", "tool_call"} & {*reply}


def test_events_from_a_thread_come_in_their_order(folder: Path) -> None:
    with Server(folder, target=f"{KEEPERS}:working_in_a_thread") as server:
        with Stream(server.port, "500") as stream:
            shown = told(stream.rest())
    steps = [data["arguments"]["at"] for kind, data in shown if kind == "tool_call"]
    assert steps == [*range(500)]
    text = ""
    for kind, data in shown[:-1]:
        if kind == "delta":
            text += data["text"]
        else:
            assert text.endswith(f"step {data['arguments']['at']}. ")


# Who asks, and what.


def test_an_agent_knows_its_turn(folder: Path) -> None:
    tokens = ["ann:a-token", "b-token"]
    knobs = {"server__tokens": tokens, "agent__turn_timeout_s": 50.0}
    with Server(folder, target=f"{KEEPERS}:aware", **knobs) as server:
        content = {"message": "who", "conversation_id": "me", "metadata": {"tenant": "ü"}}
        named = {"authorization": "Bearer a-token", "turn-deadline-ms": "20000"}
        reply = server.request("POST", "/chat", content, named).json
        known = json.loads(reply["response"])
        assert (known["id"], known["caller"]) == (reply["turn_id"], "ann")
        assert (known["attempt"], known["metadata"]) == (1, {"tenant": "ü"})
        assert 15 < known["remaining_s"] <= 20
        named = {"authorization": "Bearer b-token"}
        known = json.loads(server.request("POST", "/chat", content, named).json["response"])
        assert known["caller"] == ""
        assert 45 < known["remaining_s"] <= 50


def test_metadata_and_parts_reach_the_agent_after_a_restart_too(folder: Path) -> None:
    """I-18: a turn that was accepted in the background and waits when the server is killed."""
    image = {"type": "image", "media_type": "image/png", "data": "cGljdHVyZQ=="}
    with Server(folder, target=f"{KEEPERS}:patient_parts", store__url="sqlite:///x.db") as server:
        first = server.ask("until go")
        content = {"message": [{"type": "text", "text": "look"}, image], "metadata": {"k": "v"}}
        second = server.request("POST", "/chat", content, {"prefer": "respond-async"}).json
        server.kill()
        server.let_on("go")
        server.start()
        shown = json.loads(server.until_ended(second["turn_id"])["response"])
        assert shown == {"message": "look", "parts": content["message"], "metadata": {"k": "v"}}
        assert server.until_ended(first)["attempt"] == 2


def test_the_key_of_a_message_with_other_parts_is_refused(folder: Path) -> None:
    """I-19"""
    with Server(folder, target=f"{KEEPERS}:parts_of") as server:

        def ask(data: str, metadata: dict[str, str]) -> Answer:
            image = {"type": "image", "media_type": "image/png", "data": data}
            content = {"message": [image], "metadata": metadata}
            return server.request("POST", "/chat", content, {"idempotency-key": "k"})

        assert ask("cGljdHVyZQ==", {}).status == 200
        assert ask("cGljdHVyZQ==", {}).headers["idempotent-replayed"] == "true"
        for answer in (ask("b3RoZXI=", {}), ask("cGljdHVyZQ==", {"a": "b"})):
            assert (answer.status, answer.cause) == (422, "idempotency-key-reused")


def test_an_agent_without_parts_is_given_the_text_alone(outputs: Server) -> None:
    content = {"message": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}
    assert outputs.request("POST", "/chat", content).json["response"] == "a\nb"
    refused = {"message": [{"type": "image", "url": "https://x/y"}]}
    answer = outputs.request("POST", "/chat", refused)
    assert (answer.status, answer.json["pointer"]) == (422, "/message/0/type")

"""`/conversations`: who runs, who waits, and forgetting."""

from __future__ import annotations

from pathlib import Path

from tests.support.server import Server


def test_a_conversation_says_who_runs_and_who_waits(server: Server) -> None:
    running = server.ask("until v1", "v1")
    waiting = [server.ask("hello", "v1") for _ in range(2)]
    shown = server.request("GET", "/conversations/v1").json
    assert shown["running"]["turn_id"] == running
    assert [(one["turn_id"], one["position"]) for one in shown["waiting"]] == [
        (waiting[0], 1),
        (waiting[1], 2),
    ]
    assert all(one["age_s"] >= 0 for one in shown["waiting"])
    listed = server.request("GET", "/conversations").json["conversations"]
    mine = next(one for one in listed if one["conversation_id"] == "v1")
    assert (mine["turns"], mine["running"], mine["waiting"]) == (0, 1, 2)
    server.let_on("v1")
    server.until_ended(waiting[1])


def test_a_conversation_can_be_forgotten_when_it_is_idle(server: Server) -> None:
    turn = server.chat("hello", "v2", idempotency_key="k").json["turn_id"]
    busy = server.ask("until v2", "v2")
    refused = server.request("DELETE", "/conversations/v2")
    assert (refused.status, refused.cause) == (409, "conversation-busy")
    server.let_on("v2")
    server.until_ended(busy)
    assert server.request("DELETE", "/conversations/v2").status == 204
    assert server.history("v2") == []
    assert server.request("GET", f"/turns/{turn}").status == 404
    assert server.chat("hello", "v2", idempotency_key="k").json["turn"] == 1


def test_a_conversation_that_is_not_known_is_not_found(server: Server) -> None:
    for method in ("GET", "DELETE"):
        answer = server.request(method, "/conversations/nobody")
        assert (answer.status, answer.cause) == (404, "no-such-conversation")


def test_the_list_is_bounded_and_begins_with_those_that_are_busy(server: Server) -> None:
    for name in ("v4-a", "v4-b", "v4-c"):
        server.chat("hello", name)
    busy = server.ask("until v4", "v4-z")
    one = server.request("GET", "/conversations?count=1").json
    assert [each["conversation_id"] for each in one["conversations"]] == ["v4-z"]
    assert one["total"] >= 4
    every = server.request("GET", "/conversations?count=0").json
    assert len(every["conversations"]) == every["total"]
    assert server.request("GET", "/conversations?count=x").status == 422
    server.let_on("v4")
    server.until_ended(busy)


def test_an_id_is_no_pattern(server: Server) -> None:
    server.chat("hello", "v3-x")
    assert server.request("GET", "/conversations/v3").status == 404


def test_a_conversation_says_what_its_agent_needs_a_person_for_until_that_is_answered(
    folder: Path,
) -> None:
    with Server(folder, target="tests.support.keepers:careful") as server:
        assert server.chat("delete x").json["status"] == "input_required"
        (asked,) = server.request("GET", "/conversations/default").json["requests"]
        assert (asked["kind"], asked["name"], asked["arguments"]) == (
            "approval",
            "delete",
            {"path": "x"},
        )
        content = {"resume": {asked["id"]: {"approve": True}}}
        assert server.request("POST", "/chat", content).json["status"] == "success"
        assert "requests" not in server.request("GET", "/conversations/default").json

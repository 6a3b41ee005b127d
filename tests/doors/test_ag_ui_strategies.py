"""The door of AG-UI under each strategy, through its official client."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.doors import node
from tests.doors.test_ag_ui import Client, replies
from tests.support.client import until
from tests.support.server import Knobs, Server

STRATEGIES = ("queue", "reject", "interrupt")


@pytest.fixture(scope="module", params=STRATEGIES)
def strategy(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def server(strategy: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    knobs: Knobs = {"strategy__name": strategy, "server__tokens": ["ann:a-token", "bob:b-token"]}
    with Server(tmp_path_factory.mktemp(strategy), **knobs) as running:
        yield running


@pytest.fixture
def ann(server: Server) -> Client:
    return Client(server, token="a-token")


def test_the_runs_of_a_thread_follow_each_other(ann: Client) -> None:
    done = ann.say("follow", "one", "two", "three")
    assert [json.loads(reply)["before"] for reply in replies(done)] == [0, 2, 4]


def test_three_at_once_in_a_thread_are_answered_refused_or_stopped_as_the_strategy_says(
    server: Server, strategy: str, ann: Client
) -> None:
    running = ann.start("at-once", {"say": f"until {strategy}"})
    server.until_called(f"until {strategy}")
    steps = ({"say": f"until {strategy} {number}"} for number in range(2))
    others = ann.start("at-once", *steps, together=True)
    until(lambda: _have_come(server, strategy, ann), "the others have come")
    for file in (strategy, f"{strategy} 0", f"{strategy} 1"):
        server.let_on(file)
    done = node.result(running) + node.result(others)
    answered = [one for one in done if one.get("newMessages")]
    befores = [json.loads(reply)["before"] for reply in replies(answered)]
    if strategy == "queue":
        assert befores[0] == 0
        assert sorted(befores[1:]) == [2, 4]
    else:
        assert befores == [0]
    if strategy == "reject":
        assert [one.get("status") for one in done] == [None, 409, 409]
        assert {one["payload"]["outcome"] for one in done[1:]} == {"not_started"}
    if strategy == "interrupt":
        ends = [one["events"][-1].get("outcome") for one in done]
        assert ends.count({"type": "cancelled"}) == 2


def _have_come(server: Server, strategy: str, ann: Client) -> bool:
    """Both of the others wait, were refused, or have each stopped the one before."""
    health = server.request("GET", "/health", None, ann.headers).json
    if strategy == "queue":
        return bool(health["queue_depth"] == 2)
    name = {"reject": "refused_at_once", "interrupt": "interrupted"}[strategy]
    return bool(health["turns"].get(name, 0) == 2)


def test_a_cancelled_run_leaves_its_thread_to_the_next(server: Server, ann: Client) -> None:
    running = ann.start("cancelled", {"say": "hang cancelled"})
    server.until_called("hang cancelled")
    token = ann.headers
    shown = server.request("GET", "/conversations/cancelled", None, token).json
    server.request("DELETE", f"/turns/{shown['running']['turn_id']}", None, token)
    (done,) = node.result(running)
    assert done["events"][-1]["outcome"] == {"type": "cancelled"}
    (after,) = ann.say("cancelled", "next")
    assert json.loads(replies([after])[0])["before"] == 0


def test_callers_have_a_thread_each_though_they_name_it_alike(
    server: Server, strategy: str, ann: Client
) -> None:
    running = ann.start("alike", {"say": f"until callers {strategy}"})
    server.until_called(f"until callers {strategy}")
    bobs = Client(server, token="b-token").say("alike", "bob's")
    assert json.loads(replies(bobs)[0])["before"] == 0
    server.let_on(f"callers {strategy}")
    assert json.loads(replies(node.result(running))[0])["before"] == 0


def test_a_run_that_a_kill_cut_off_is_answered_after_the_restart(
    server: Server, strategy: str
) -> None:
    ann = Client(server, token="a-token", idempotency_key="k")
    running = ann.start("killed", {"say": f"until killed {strategy}"})
    server.until_called(f"until killed {strategy}")
    server.kill()
    (broken,) = node.result(running)
    assert "error" in broken
    server.start()
    server.let_on(f"killed {strategy}")
    done = ann.say("killed", f"until killed {strategy}")
    done += Client(server, token="a-token").say("killed", "next")
    assert [json.loads(reply)["before"] for reply in replies(done)] == [0, 2]


def test_a_question_is_answered(strategy: str, tmp_path: Path) -> None:
    knobs: Knobs = {"strategy__name": strategy, "target": "tests.support.keepers:careful"}
    with Server(tmp_path, **knobs) as server:
        asked, done = Client(server).run("t", {"say": "ask who"}, {"resume": "it was me"})
    assert asked["events"][-1]["outcome"]["type"] == "interrupt"
    assert '"value": "it was me"' in replies([done])[0]

"""Agents that misbehave, in a real process: I-12 to I-15."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.agents import FAULTS
from tests.support.client import chat, receive, send, together
from tests.support.server import Server

AGENTS = "tests.support.agents"


@pytest.fixture(scope="module", params=["echo", "threaded"])
def faulty(
    request: pytest.FixtureRequest, http: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp(request.param)
    target = f"{AGENTS}:{request.param}"
    with Server(folder, target=target, agent__turn_timeout_s=0.5) as running:
        yield running


@pytest.mark.parametrize("fault", FAULTS)
def test_whatever_the_agent_raises_the_turn_answers_502_and_the_next_is_served(
    faulty: Server, fault: str
) -> None:
    """I-12."""
    answer = faulty.chat(f"raise {fault}", fault)
    assert (answer.status, answer.cause) == (502, "agent-failed")
    assert answer.headers["turn-outcome"] == answer.json["outcome"] == "rolled_back"
    assert b"secret" not in answer.body
    assert faulty.chat("after", fault).json["turn"] == 1
    assert len(faulty.history(fault)) == 2


def test_an_agent_that_hangs_ends_at_the_deadline_and_others_go_on(faulty: Server) -> None:
    """I-13."""
    with send(faulty.port, chat("hang", "hanging")) as hanging:
        faulty.until_called("hang")
        assert faulty.chat("meanwhile", "other").status == 200
        answer = receive(hanging)
    assert (answer.status, answer.cause, answer.json["outcome"]) == (
        504,
        "turn-timeout",
        "rolled_back",
    )
    assert faulty.history("hanging") == []


def test_an_agent_that_ignores_its_end_is_fenced_and_its_late_reply_discarded(
    faulty: Server,
) -> None:
    """I-13: the next turn of the conversation starts only when the agent has really stopped."""
    with send(faulty.port, chat("ignore 1", "fenced")) as stuck:
        faulty.until_called("ignore 1")
        after = faulty.chat("ignore 0", "fenced")
        assert (receive(stuck).status, after.status) == (504, 200)
    calls = [call for call in faulty.calls() if call.endswith(("ignore 1", "ignore 0"))]
    assert [call.split()[0] for call in calls] == ["began", "ended", "began", "ended"]
    kept = [said["content"] for said in faulty.history("fenced") if said["role"] == "user"]
    assert "ignore 1" not in kept


def test_a_thread_that_blocks_leaves_health_alone(faulty: Server) -> None:
    """I-14, for sync agents; the async one only sleeps here."""
    with send(faulty.port, chat("sleep 0.4", "blocking")) as blocking:
        faulty.until_called("sleep 0.4")
        assert faulty.health()["running"] == 1
        assert receive(blocking).status == 200


def test_an_async_agent_that_blocks_the_loop_shows_in_the_gauge(folder: Path) -> None:
    """I-14."""
    with Server(folder) as server:
        server.chat("block 0.5")
        assert server.health()["loop_lag_s"] > 0.1


@pytest.mark.parametrize("what", ["none", "int", "bytes", "set", "surrogate", "huge", "generator"])
def test_whatever_the_agent_returns_only_text_and_json_reach_the_client(
    strange: Server, what: str
) -> None:
    """I-15."""
    answer = strange.chat(what, what)
    assert (answer.status, answer.cause) == (502, "agent-failed")
    assert len(answer.body) < 1_000
    assert strange.history(what) == []
    assert strange.chat("fine", what).json["response"] == "fine"


@pytest.fixture(scope="module")
def strange(http: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("strange"), target=f"{AGENTS}:strange_types") as running:
        yield running


def test_the_agents_own_words_reach_the_client_where_the_settings_say_so(folder: Path) -> None:
    with Server(folder, agent__expose_agent_errors=True) as server:
        assert "secret" in server.chat("raise Exception").json["agent_error"]


def test_the_agents_own_words_are_in_the_log(folder: Path) -> None:
    with Server(folder) as server:
        server.chat("raise Exception")
        server.stop()
        assert "secret" in server.log


def test_an_object_with_a_history_of_its_own_never_sees_two_calls_at_once(folder: Path) -> None:
    """I-1."""
    with Server(folder, target=f"{AGENTS}:counter") as server:
        answers = together([lambda: server.chat("hello") for _ in range(10)])
        assert not any("true" in answer.json["response"] for answer in answers)
        assert sorted(answer.json["turn"] for answer in answers) == list(range(1, 11))


def test_an_object_with_a_history_of_its_own_serves_one_conversation(folder: Path) -> None:
    with Server(folder, target=f"{AGENTS}:counter") as server:
        answer = server.chat("hello", "another")
        assert (answer.status, answer.json["pointer"]) == (422, "/conversation_id")


def test_a_factory_makes_an_agent_for_each_conversation(folder: Path) -> None:
    with Server(folder, target=f"{AGENTS}:make_counter") as server:
        for conversation in ("a", "b"):
            for count in (1, 2):
                answer = server.chat("hello", conversation)
                assert answer.json["response"] == f'{{"count": {count}, "overlap": false}}'


@pytest.mark.parametrize(("target", "response"), [("pieces", "a b "), ("many_words", "ab")])
def test_an_agent_may_give_its_reply_in_pieces(folder: Path, target: str, response: str) -> None:
    with Server(folder, target=f"{AGENTS}:{target}") as server:
        assert server.chat("a b").json["response"] == response

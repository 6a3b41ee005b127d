"""`GET /metrics`: it agrees with `/health`, its size is constant, and it names nobody."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from runner.app import make_app
from runner.settings import Settings
from runner.store.memory import MemoryStore
from runner.turns.service import Service
from strategies import Limits
from strategies.queue import Queue
from strategies.registry import BUILT_IN
from tests.support.caller import Caller
from tests.support.client import chat as chat_bytes
from tests.support.client import connect, encode, read
from tests.support.figures import Figures, figures, labelled, parse, with_health
from tests.support.server import ROOT, Knobs, Server
from tests.turns.test_service import Sleeper

DOCS = ROOT / "docs" / "metrics.md"

REFUSALS = {
    "queue": "conversation-queue-full",
    "reject": "conversation-busy",
    "merge": "conversation-queue-full",
}
"""What is told to the third message at once in a conversation where one turn may wait."""


def agrees(server: Server) -> Figures:
    """What `/metrics` shows, which is what `/health` shows."""
    health, shown = with_health(server)
    turns = dict(health["turns"])
    outcomes = labelled(shown, "turnline_turns_total", "outcome")
    lives = shown["turnline_turns_waiting"], shown["turnline_turns_running"]
    assert lives == (health["queue_depth"], health["running"])
    assert turns.pop("accepted") == sum(outcomes.values()) + sum(lives)
    refusals = labelled(shown, "turnline_refusals_total", "cause")
    assert turns.pop("refused_at_once") == sum(refusals.values())
    assert {name: count for name, count in outcomes.items() if count} == turns
    return shown


@pytest.mark.parametrize("strategy", BUILT_IN)
def test_it_agrees_with_health_whatever_became_of_the_turns(folder: Path, strategy: str) -> None:
    """I-9."""
    knobs: Knobs = {"strategy__name": strategy, "store__url": "memory:"}
    if strategy != "lock":
        knobs["strategy__max_waiting_per_conversation"] = 1
    refused = REFUSALS.get(strategy)
    with Server(folder, **knobs) as server:
        assert server.chat("hello").status == 200
        assert server.chat("raise Exception").status == 502
        assert server.chat("hang", turn_deadline_ms="50").status in (503, 504)
        running = server.ask("until never", "busy")
        server.until_called("until never")
        for _ in range(2):  # Waits, is refused, interrupts or is merged, as the strategy has it.
            server.chat("sleep 0", "busy", prefer="respond-async, on-disconnect=continue")
        agrees(server)
        server.cancel(running)
        server.until_quiet()
        shown = agrees(server)
    outcomes = labelled(shown, "turnline_turns_total", "outcome")
    assert all(outcomes[name] for name in ("answered", "failed", "expired")), outcomes
    assert outcomes["cancelled"] + outcomes["interrupted"], outcomes
    refusals = labelled(shown, "turnline_refusals_total", "cause")
    assert [cause for cause in refusals if refusals[cause]] == [*filter(None, (refused,))]


@pytest.fixture(scope="module")
def server(http: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    knobs: Knobs = {"server__tokens": ["ann:a-token", "bob:b-token"], "store__url": "memory:"}
    with Server(tmp_path_factory.mktemp("metrics"), **knobs) as running:
        yield running


def test_it_needs_a_token_where_the_server_has_some(server: Server, ann: Caller) -> None:
    assert server.request("GET", "/metrics").status == 401
    assert ann("GET", "/metrics").status == 200


def test_it_names_no_caller_and_no_conversation_and_no_turn(server: Server, ann: Caller) -> None:
    replied = ann.chat("what-was-said", "of-this-conversation")
    assert replied.status == 200
    text = ann("GET", "/metrics").body.decode()
    names = ("ann", "bob", "of-this-conversation", "what-was-said", replied.json["turn_id"])
    assert not [name for name in names if re.search(rf"\b{name}\b", text)]


def test_who_accepts_openmetrics_is_given_it_whole(server: Server, ann: Caller) -> None:
    accept = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"
    answer = ann("GET", "/metrics", accept=accept)
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    parsed = text_string_to_metric_families(answer.body.decode())  # type: ignore[no-untyped-call]
    families = {one.name: one.type for one in parsed}
    assert families["turnline_turns"] == "counter"
    assert families["turnline_turn_wait_seconds"] == "histogram"
    plain = ann("GET", "/metrics").headers["content-type"]
    assert plain == "text/plain; version=0.0.4; charset=utf-8"


def test_the_docs_name_each_metric_and_its_type_and_no_other(ann: Caller) -> None:
    documented = re.findall(r"^\| `([a-z_]+)[^|]*\| (\w+) \|", DOCS.read_text(), re.MULTILINE)
    shown = re.findall(r"^# TYPE (\w+) (\w+)$", ann("GET", "/metrics").body.decode(), re.MULTILINE)
    assert sorted(documented) == sorted(one for one in shown if not one[0].endswith("_created"))


def test_head_gives_the_headers_alone(server: Server) -> None:
    token = {"authorization": "Bearer a-token", "connection": "close"}
    with connect(server.port) as connection, connection.makefile("rb") as stream:
        connection.sendall(encode("HEAD", "/metrics", headers=token))
        head, _, body = stream.read().partition(b"\r\n\r\n")
    assert (head.split()[1], body) == (b"200", b"")
    assert b"content-type: text/plain" in head


def test_where_metrics_are_off_there_is_no_such_path_and_nobody_watches(folder: Path) -> None:
    with Server(folder, observability__metrics=False) as server:
        answer = server.request("GET", "/metrics")
        assert (answer.status, answer.cause) == (404, "not-found")
        assert "/metrics" not in server.request("GET", "/openapi.json").json["paths"]
    settings = Settings.model_validate({"observability": {"metrics": False}})
    service = Service(settings, Sleeper(), MemoryStore(), lambda answer: Queue(answer, Limits()))
    make_app(service)
    assert service.metrics is None


@pytest.mark.parametrize("store", ["memory:", "sqlite:///s.db"])
def test_each_operation_of_a_store_is_timed(folder: Path, store: str) -> None:
    with Server(folder, store__url=store) as server:
        before = figures(server)
        server.until_ended(server.ask("hello"))
        server.until_ended(server.ask("raise Exception"))
        server.request("DELETE", "/conversations/default")
        after = figures(server)
    name = "turnline_store_seconds_count"
    began, counts = labelled(before, name, "operation"), labelled(after, name, "operation")
    grown = {operation: counts[operation] - began[operation] for operation in counts}
    assert [grown[one] for one in ("accept", "begin", "commit", "end", "forget")] == [2, 2, 1, 1, 1]
    assert min(grown["history"], grown["agent_state"], grown["find"]) > 0
    assert counts["prune"] == 1


@pytest.mark.slow
def test_ten_thousand_conversations_make_it_no_longer(folder: Path) -> None:
    with Server(folder, target="chain", store__url="memory:") as server:
        server.chat("hello", "first")
        before = server.request("GET", "/metrics").body
        with connect(server.port) as connection, connection.makefile("rb") as stream:
            for number in range(10_000):
                connection.sendall(chat_bytes("hello", f"c{number}"))
                assert read(stream).status == 200
        after = server.request("GET", "/metrics").body
    assert parse(after)['turnline_turns_total{outcome="answered"}'] == 10_001
    assert parse(before).keys() == parse(after).keys()
    # The same lines, and some of their numbers are longer.
    assert len(after) < len(before) + 20 * len(parse(after))

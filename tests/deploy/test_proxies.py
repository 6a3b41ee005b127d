"""Each shipped proxy before one server: streams come as they are told, departures go through."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.proxies import Kind, Proxy, caddy, nginx
from tests.deploy.shipped import needs
from tests.support.client import chat, receive, request, reset, send, until
from tests.support.events import Stream, text_of
from tests.support.server import Server

BOTH = [pytest.param(nginx, marks=needs("nginx")), pytest.param(caddy, marks=needs("caddy"))]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(
        tmp_path_factory.mktemp("server"),
        target="tests.support.agents:by_first_word",
        strategy__on_disconnect="cancel",
        server__allowed_hosts=["chat.example"],
    ) as running:
        yield running


@pytest.fixture(scope="module", params=BOTH)
def proxy(
    request: pytest.FixtureRequest, server: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Proxy]:
    kind: Kind = request.param
    with kind(tmp_path_factory.mktemp("proxy"), [server.port]) as running:
        yield running


@pytest.fixture
def word(request: pytest.FixtureRequest) -> str:
    """The name of a file that no other test makes."""
    return "".join(one for one in request.node.name if one.isalnum())


def test_an_event_arrives_while_the_turn_still_runs(
    server: Server, proxy: Proxy, word: str
) -> None:
    with Stream(proxy.port, f"{word} and the rest", conversation=word) as stream:
        assert stream.until("delta").data["text"] == word
        server.let_on(word)
        assert [event.kind for event in stream][-1] == "done"


@pytest.mark.parametrize("is_stream", [True, False], ids=["stream", "plain"])
def test_the_turn_of_a_client_that_leaves_is_cancelled(
    server: Server, proxy: Proxy, word: str, is_stream: bool
) -> None:
    accepts = {"accept": "text/event-stream"} if is_stream else {}
    connection = send(proxy.port, chat(word, word, **accepts))
    server.until_called(word)
    turn = server.turn_of(word)["turn_id"]
    reset(connection)
    until(lambda: server.turn(turn)["state"] == "cancelled", "it is cancelled")


def test_a_stream_goes_on_where_it_was_cut(server: Server, proxy: Proxy, word: str) -> None:
    with Stream(proxy.port, f"{word} rest", word, prefer="on-disconnect=continue") as stream:
        first = stream.until("delta")
        turn = server.turn_of(word)["turn_id"]
    server.let_on(word)
    with Stream(proxy.port, turn=turn, after=first.id) as again:
        assert text_of(again.rest()) == " rest"


def test_a_large_message_and_the_public_name_pass(server: Server, proxy: Proxy, word: str) -> None:
    server.let_on(word)
    message = f"{word} {'x' * 200_000}"
    answer = request(
        proxy.port,
        "POST",
        "/chat",
        {"message": message, "conversation_id": word},
        {"host": f"chat.example:{proxy.port}"},
    )
    assert (answer.status, answer.json["response"]) == (200, message)


def test_a_refusal_comes_with_all_that_it_says(server: Server, proxy: Proxy) -> None:
    refused = request(proxy.port, "POST", "/chat", {"massage": "x"})
    assert (refused.status, refused.cause) == (422, "wrong-field")
    assert refused.headers["turn-outcome"] == "not_started"


@pytest.mark.parametrize("kind", BOTH)
def test_while_it_drains_a_running_turn_ends_and_a_new_one_is_told_so(
    kind: Kind, tmp_path: Path
) -> None:
    with Server(tmp_path) as draining, kind(tmp_path, [draining.port]) as before:
        with send(before.port, chat("until told")) as running:
            draining.until_called("until told")
            draining.process.terminate()
            until(lambda: draining.request("GET", "/health/ready").status == 503, "it drains")
            refused = request(before.port, "POST", "/chat", {"message": "new"})
            assert (refused.cause, refused.json["outcome"]) == ("draining", "not_started")
            draining.let_on("told")
            assert receive(running).status == 200
        assert draining.wait() == 0

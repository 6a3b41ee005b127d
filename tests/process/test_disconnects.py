"""Clients that leave: I-10 and I-11, over real sockets."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.client import chat, encode, receive, reset, send, until
from tests.support.server import Server

DELAYS_S = (0.0, 0.0002, 0.001, 0.003, 0.01, 0.05)


def fin(connection: socket.socket) -> None:
    connection.close()


def half_close(connection: socket.socket) -> None:
    connection.shutdown(socket.SHUT_WR)


LEAVES = {"FIN": fin, "RST": reset, "half-close": half_close}

Leave = Callable[[socket.socket], None]
grid = pytest.mark.parametrize("delay_s", DELAYS_S, ids=lambda delay_s: f"{delay_s * 1000:g}ms")
ways = pytest.mark.parametrize("leave", LEAVES.values(), ids=LEAVES.keys())


def pause(delay_s: float) -> None:
    threading.Event().wait(delay_s)


@pytest.fixture(scope="module", params=["queue", "lock"])
def server(
    request: pytest.FixtureRequest, http: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp(request.param)
    with Server(folder, strategy__name=request.param, store__url="memory:") as running:
        yield running


@pytest.fixture(scope="module")
def cancelling(http: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("cancel"), strategy__on_disconnect="cancel") as running:
        yield running


@grid
@ways
def test_a_turn_whose_client_left_while_it_waited_never_reaches_the_agent(
    server: Server, delay_s: float, leave: Leave, request: pytest.FixtureRequest
) -> None:
    """I-10."""
    name = f"{request.node.callspec.id}".replace("[", "")
    conversation = f"c{abs(hash(name))}"
    with send(server.port, chat(f"until {name}", conversation)) as holder:
        server.until_called(f"until {name}")
        left = send(server.port, chat(f"left {name}", conversation))
        pause(delay_s)
        leave(left)
        server.until_depth(0)
        server.let_on(name)
        assert receive(holder).status == 200
    left.close()
    assert server.chat(f"after {name}", conversation).json["turn"] == 2
    assert f"began left {name}" not in server.calls()


@grid
@ways
def test_a_turn_whose_client_left_while_it_ran_is_kept_once(
    server: Server, delay_s: float, leave: Leave, request: pytest.FixtureRequest
) -> None:
    """I-11, and the client at 0 ms may have left before its turn was accepted."""
    conversation = f"r{abs(hash(request.node.callspec.id))}"
    with send(server.port, chat("sleep 0.02", conversation)) as left:
        pause(delay_s)
        leave(left)
        server.until_quiet()
    assert server.chat("after", conversation).status == 200
    said = [message["content"] for message in server.history(conversation)]
    assert said.count("sleep 0.02") <= 1
    assert len(said) == 2 * said.count("sleep 0.02") + 2


@ways
def test_a_running_turn_is_rolled_back_where_the_settings_say_cancel(
    cancelling: Server, leave: Leave, request: pytest.FixtureRequest
) -> None:
    """I-11."""
    message = f"sleep 20 {request.node.callspec.id}"
    with send(cancelling.port, chat(message, "x")) as left:
        cancelling.until_called(message)
        leave(left)
        until(lambda: f"ended {message}" in cancelling.calls(), "the agent was told to stop")
    cancelling.until_quiet()
    assert message not in [said["content"] for said in cancelling.history("x")]


def test_a_pipelined_second_request_hides_a_departure_and_the_deadline_ends_the_turn(
    server: Server,
) -> None:
    with send(server.port, chat("sleep 20", "pipelined", Turn_Deadline_Ms="300")) as left:
        left.sendall(encode("GET", "/health"))
        half_close(left)
        assert receive(left).status == 504
    server.until_quiet()


def test_a_client_that_leaves_in_the_middle_of_the_body_costs_nothing(server: Server) -> None:
    before = server.health()["turns"]["accepted"]
    for leave in LEAVES.values():
        with send(server.port, chat("never")[:-5]) as left:
            leave(left)
    server.until_quiet()
    assert server.health()["turns"]["accepted"] == before


def test_a_client_that_leaves_before_it_reads_its_answer_does_no_harm(server: Server) -> None:
    for _ in range(20):
        reset(send(server.port, chat("at once", "unread")))
    server.until_quiet()
    assert server.chat("after", "unread").status == 200


@pytest.mark.parametrize("policy", ["drop-waiting", "continue", "cancel"])
def test_after_many_departures_everything_is_back_to_base(folder: Path, policy: str) -> None:
    """I-25."""
    with Server(folder, strategy__on_disconnect=policy, store__url="memory:") as server:
        server.chat("warm up")
        files = server.process.num_fds()
        for round_ in range(10):
            left = [send(server.port, chat("sleep 0.01", f"c{n % 3}")) for n in range(20)]
            for connection in left:
                (reset if round_ % 2 else fin)(connection)
        server.until_quiet()
        until(lambda: server.process.num_fds() <= files + 1, "descriptors are back to base")
        load = server.health()["turns"]
        ended = sum(
            count for name, count in load.items() if name not in {"accepted", "refused_at_once"}
        )
        assert ended == load["accepted"], "I-9"

"""The end of a server: I-17, as signals to a real process."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.support.client import chat, receive, send, until
from tests.support.server import Server

to_whom = pytest.mark.parametrize("group", [False, True], ids=["process", "group"])


@to_whom
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_running_turn_ends_a_waiting_one_is_refused_and_the_status_is_0(
    folder: Path, number: signal.Signals, group: bool
) -> None:
    with Server(folder, server__drain_s=10) as server:
        with send(server.port, chat("until told")) as running:
            server.until_called("until told")
            with send(server.port, chat("waits")) as waiting:
                server.until_depth(1)
                server.signal(number, group=group)
                refused = receive(waiting)
            assert (refused.status, refused.cause) == (503, "draining")
            assert refused.json["outcome"] == "not_started"
            assert server.request("GET", "/health/ready").status == 503
            assert server.request("GET", "/health/live").status == 200
            assert server.chat("new").cause == "draining"
            server.let_on("told")
            assert receive(running).status == 200
        assert server.wait() == 0
        assert "began waits" not in server.calls()


def test_a_turn_that_outlasts_the_drain_is_rolled_back_and_says_so(folder: Path) -> None:
    with Server(folder, server__drain_s=0.2) as server:
        with send(server.port, chat("hang")) as running:
            server.until_called("hang")
            server.signal(signal.SIGTERM)
            answer = receive(running)
        assert (answer.status, answer.cause, answer.json["outcome"]) == (
            503,
            "draining",
            "rolled_back",
        )
        assert server.wait() == 0


def test_a_second_signal_skips_the_rest_of_the_drain(folder: Path) -> None:
    with Server(folder, server__drain_s=600) as server:
        with send(server.port, chat("hang")) as running:
            server.until_called("hang")
            server.signal(signal.SIGTERM)
            until(lambda: server.request("GET", "/health/ready").status == 503, "it drains")
            server.signal(signal.SIGTERM)
            assert receive(running).json["outcome"] == "rolled_back"
        assert server.wait() == 0


@pytest.mark.parametrize("message", ["ignore 60", "block 60"])
def test_an_agent_that_will_not_stop_does_not_keep_the_process(folder: Path, message: str) -> None:
    with Server(folder, server__drain_s=0.2) as server, send(server.port, chat(message)):
        server.until_called(message)
        server.signal(signal.SIGTERM)
        assert server.wait(10.0) == 0


def test_a_thread_that_will_not_stop_does_not_keep_the_process(folder: Path) -> None:
    target = "tests.support.agents:threaded"
    with Server(folder, target=target, server__drain_s=0.2) as server:
        with send(server.port, chat("hang")):
            server.until_called("hang")
            server.signal(signal.SIGTERM)
            assert server.wait(10.0) == 0


def test_idle_connections_and_slow_ones_do_not_keep_the_process(folder: Path) -> None:
    with Server(folder) as server:
        with (
            send(server.port, b""),
            send(server.port, b"GET /hea"),
            send(server.port, chat("x")[:-3]),
        ):
            with send(server.port, chat("kept alive")) as kept:
                assert receive(kept).status == 200
                assert server.stop() == 0


def test_an_idle_server_ends_by_itself_where_the_settings_say_so(folder: Path) -> None:
    with Server(folder, server__idle_shutdown_s=0.3) as server:
        assert server.wait(15.0) == 0
        assert "no turn for 0.3 s" in server.log


def test_the_port_is_free_again_at_once(folder: Path) -> None:
    with Server(folder) as server:
        server.chat("hello")
        server.stop()
        server.kill()
        assert server.start().chat("again").json["turn"] == 2

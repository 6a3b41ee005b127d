"""`runner chat` in a terminal, against a real server."""

from __future__ import annotations

import re
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support import client
from tests.support.events import Stream
from tests.support.proxy import CuttingProxy
from tests.support.server import Server
from tests.support.terminal import Terminal as AnyTerminal

TELLER = "tests.support.agents:teller"
Run = Callable[..., tuple[int, str, str]]


class Terminal(AnyTerminal):
    """`runner chat` in a terminal."""

    prompt = "> "

    def __init__(self, port: int, *arguments: str) -> None:
        super().__init__("chat", "--url", f"http://127.0.0.1:{port}", *arguments)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("chat"), target=TELLER) as running:
        yield running


def test_it_shows_the_place_in_the_line_and_then_the_words_as_they_come(server: Server) -> None:
    server.chat("1 0.2", "warm")
    server.ask("1 0 until first", "shown")
    server.ask("1 0 until second", "shown")
    with Terminal(server.port, "--conversation", "shown") as terminal:
        terminal.type("2 0.3\n")
        terminal.until("2nd in line, about ")
        server.let_on("first")
        terminal.until("1st in line, about ")
        server.let_on("second")
        terminal.until("piece 0, ")
        terminal.until("piece 0, piece 1, \r\n> ")


def test_the_expected_wait_counts_down_while_one_waits(server: Server) -> None:
    server.chat("1 3", "slower")
    server.ask("1 0 until third", "counted")
    with Terminal(server.port, "--conversation", "counted") as terminal:
        terminal.type("1 0\n")
        client.until(
            lambda: len(set(re.findall(r"about \d+ s", terminal.text))) > 1, "it counts down"
        )
        server.let_on("third")
        terminal.until("piece 0, \r\n> ")


def test_control_c_cancels_the_turn_and_one_can_go_on(server: Server) -> None:
    with Terminal(server.port, "--conversation", "stopped") as terminal:
        terminal.type("1 0 hang\n")
        terminal.until("piece 0, ")
        terminal.process.send_signal(signal.SIGINT)
        terminal.until("cancelled")
        server.until_quiet()
        terminal.type("1 0\n")
        terminal.until("piece 0, \r\n> ")
    assert len(server.history("stopped")) == 2


def test_after_lost_connections_it_goes_on_where_it_was_and_asks_once(
    run: Run, server: Server
) -> None:
    with CuttingProxy(server.port, cuts=[100, 0, 400, 700]) as proxy:
        url = f"http://127.0.0.1:{proxy.port}"
        status, out, err = run("chat", "--url", url, "--conversation", "cut", text="20 0.02\n")
        assert status == 0
        assert set(err.splitlines()) == {"the connection was lost; trying again for 60 s"}
        assert out == "".join(f"piece {number}, " for number in range(20)) + "\n"
        assert proxy.connections >= 4
    assert len(server.history("cut")) == 2


def test_after_a_kill_of_the_server_the_turn_is_begun_again_and_said_so(
    run: Run, folder: Path
) -> None:
    with Server(folder, target=TELLER, store__url="sqlite:///x.db") as server:
        message = "10 0 hang-at-first"
        results: list[tuple[int, str, str]] = []
        url = f"http://127.0.0.1:{server.port}"
        chatting = threading.Thread(
            target=lambda: results.append(run("chat", "--url", url, text=f"{message}\n"))
        )
        chatting.start()
        server.until_called(message)
        with Stream(server.port, turn=server.turn_of("default")["turn_id"]) as said:
            said.until("delta")
        server.kill()
        server.start()
        chatting.join()
        whole = "".join(f"piece {number}, " for number in range(10))
        status, out, err = results[0]
        assert (status, out.splitlines()[-1]) == (0, whole)
        assert "attempt 2" in err


# What an agent needs a person for.

CAREFUL = "tests.support.keepers:careful"


@pytest.fixture(scope="module")
def careful(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("careful"), target=CAREFUL) as running:
        yield running


@pytest.mark.parametrize(("typed", "approved"), [("y", "true"), ("N", "false"), ("yes", "true")])
def test_at_a_terminal_a_tool_is_approved_with_y_or_n(
    careful: Server, typed: str, approved: str
) -> None:
    with Terminal(careful.port, "--conversation", f"yn-{typed}") as terminal:
        terminal.type("delete x\n")
        terminal.until('Delete x? delete({"path": "x"}) [y/n] ')
        terminal.type("perhaps\n")
        terminal.until("Answer y or n")
        terminal.type(f"{typed}\n")
        terminal.until(f'"approve": {approved}')
        terminal.type("more\n")
        terminal.until(", more\r\n> ")


def test_at_a_terminal_each_question_is_asked(careful: Server) -> None:
    with Terminal(careful.port, "--conversation", "questions") as terminal:
        terminal.type("ask colour, size\n")
        terminal.until("colour? ")
        terminal.type("deep blue\n")
        terminal.until("size? ")
        terminal.type("12\n")
        terminal.until('"value": "12"')
        assert '"value": "deep blue"' in terminal.text


def test_an_agent_may_ask_again_and_again(careful: Server) -> None:
    with Terminal(careful.port, "--conversation", "again") as terminal:
        terminal.type("twice x\n")
        terminal.until("Delete x?")
        terminal.type("y\n")
        terminal.until("Delete the rest?")
        terminal.type("y\n")
        terminal.until("done: again")


@pytest.mark.parametrize("key", ["control-c", "control-d"])
def test_a_question_that_is_not_answered_is_dropped(careful: Server, key: str) -> None:
    with Terminal(careful.port, "--conversation", f"dropped-by-{key}") as terminal:
        terminal.type("delete x\n")
        terminal.until("[y/n] ")
        if key == "control-c":
            terminal.process.send_signal(signal.SIGINT)
        else:
            terminal.type("\x04")
        terminal.until("nothing was done about them")
        terminal.type("more\n")
        terminal.until("done: more")


def test_who_comes_to_an_open_question_is_asked_it_and_then_said(careful: Server) -> None:
    """As after a restart of the client, or where another one asked."""
    careful.chat("delete x", "open")
    with Terminal(careful.port, "--conversation", "open") as terminal:
        terminal.type("hello\n")
        terminal.until("[y/n] ")
        terminal.type("y\n")
        terminal.until(", hello\r\n> ")
        assert '"approve": true' in terminal.text


def test_a_pipe_that_comes_to_an_open_question_has_its_line_answered_all_the_same(
    run: Run, careful: Server
) -> None:
    """Or its exit status would say so of a line that nobody has answered."""
    careful.chat("delete x", "came")
    url = f"http://127.0.0.1:{careful.port}"
    status, out, _ = run("chat", "--url", url, "--conversation", "came", text="hello\n")
    assert (status, out.splitlines()[-1]) == (0, "done: hello")


def test_a_question_that_somebody_else_has_answered_is_said_so(careful: Server) -> None:
    with Terminal(careful.port, "--conversation", "late") as terminal:
        terminal.type("delete x\n")
        terminal.until("[y/n] ")
        content = {"conversation_id": "late", "resume": {"r1": {"approve": False}}}
        assert careful.request("POST", "/chat", content).status == 200
        terminal.type("y\n")
        terminal.until("no request open")
        terminal.type("more\n")
        terminal.until(", more\r\n> ")


def test_a_pipe_answers_with_its_next_lines(run: Run, careful: Server) -> None:
    url = f"http://127.0.0.1:{careful.port}"
    text = "delete x\ny\nask size\n12\nbye\n"
    status, out, err = run("chat", "--url", url, "--conversation", "pipe", text=text)
    assert status == 0
    assert out.splitlines()[-1].endswith(", bye")
    assert '"value": "12"' in out
    assert "[y/n]" in err
    assert "[y/n]" not in out


def test_a_pipe_that_ends_before_it_has_answered_drops_the_question(
    run: Run, careful: Server
) -> None:
    url = f"http://127.0.0.1:{careful.port}"
    run("chat", "--url", url, "--conversation", "short", text="delete x\n")
    assert careful.chat("hello", "short").json["response"] == "done: hello"


def test_a_tool_without_arguments_is_named_at_the_terminal(run: Run, folder: Path) -> None:
    with Server(folder, target="tests.support.keepers:asking") as server:
        url = f"http://127.0.0.1:{server.port}"
        _, _, err = run("chat", "--url", url, text="no arguments\ny\n")
    assert "Allow reset({}) [y/n]" in err


def test_what_an_agent_asks_cannot_command_the_terminal(run: Run, folder: Path) -> None:
    with Server(folder, target="tests.support.keepers:asking") as server:
        url = f"http://127.0.0.1:{server.port}"
        _, _, err = run("chat", "--url", url, text="ask \x1b]0;evil\x07?\nx\n")
    assert "\x1b" not in err
    assert "\\x1b]0;evil" in err


def test_tools_at_work_are_shown_before_the_words(folder: Path) -> None:
    with Server(folder, target="tests.support.keepers:tool_first") as server:
        with Terminal(server.port) as terminal:
            terminal.type("until go\n")
            terminal.until("the agent uses look")
            server.let_on("go")
            terminal.until("seen\r\n> ")

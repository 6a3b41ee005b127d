"""`runner top` against a real server, in a terminal and into a pipe."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import Popen

import pytest
from rich.cells import cell_len

from tests.support import client
from tests.support.server import Server
from tests.support.terminal import Terminal

Run = Callable[..., tuple[int, str, str]]
Start = Callable[..., Popen[str]]
COLOUR = re.compile(r"\x1b\[[\d;]*\b[349]\d[\d;]*m")
OTHER_SCREEN, OWN_SCREEN, CURSOR_SHOWN = "\x1b[?1049h", "\x1b[?1049l", "\x1b[?25h"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """In the conversation `talk` one turn runs, and two wait."""
    with Server(tmp_path_factory.mktemp("top")) as running:
        for message in ("hang", "second", "third"):
            running.ask(message, "talk")
        running.until_depth(2)
        yield running


def top(server: Server, *arguments: str, **options: object) -> Terminal:
    url = f"http://127.0.0.1:{server.port}"
    return Terminal("top", "--url", url, *arguments, **options)  # type: ignore[arg-type]


def test_once_shows_what_happens_now(run: Run, server: Server) -> None:
    status, out, err = run("top", "--url", f"http://127.0.0.1:{server.port}", "--once")
    assert (status, err) == (0, "")
    assert "running 1 of" in out
    assert re.search(r"^talk +1 +2 .*█$", out, re.MULTILINE)
    assert re.search(r"^ +runs .* hang$", out, re.MULTILINE)
    assert re.search(r"^ +1st .* second$", out, re.MULTILINE)
    assert re.search(r"^ +2nd .* third$", out, re.MULTILINE)


def test_once_as_json_is_the_document_of_the_server(run: Run, server: Server) -> None:
    url = f"http://127.0.0.1:{server.port}"
    status, out, _ = run("top", "--url", url, "--once", "--json")
    told = server.request("GET", "/view").json
    assert status == 0
    shown = json.loads(out)
    assert shown.keys() == told.keys()
    assert [one["id"] for one in shown["lines"][0]["turns"]] == [
        one["id"] for one in told["lines"][0]["turns"]
    ]


@pytest.mark.slow
def test_a_reader_of_the_json_may_leave(start: Start, server: Server) -> None:
    program = start("top", "--url", f"http://127.0.0.1:{server.port}", "--json")
    assert program.stdout is not None
    assert json.loads(program.stdout.readline())["load"]["running"] == 1
    program.stdout.close()
    assert program.wait(client.LIMIT_S) == 0
    assert program.stderr is not None
    assert program.stderr.read() == ""
    program.stdout = None


@pytest.mark.slow
def test_a_token_shows_the_turns_of_its_caller(run: Run, folder: Path) -> None:
    with Server(folder, server__tokens=["ada:t1", "bob:t2"]) as server:
        url = f"http://127.0.0.1:{server.port}"
        server.ask("hang", "hers", authorization="Bearer t1")
        assert run("top", "--url", url, "--once")[0] == 1
        assert "RUNNER_TOKEN" in run("top", "--url", url, "--once", RUNNER_TOKEN="wrong")[2]
        assert "hers" in run("top", "--url", url, "--once", RUNNER_TOKEN="t1")[1]
        assert "hers" not in run("top", "--url", url, "--once", "--token", "t2")[1]


@pytest.mark.parametrize("way", ["q", "control-c"])
def test_it_leaves_the_terminal_as_it_was(server: Server, way: str) -> None:
    with top(server) as terminal:
        before = terminal.modes
        terminal.until(OTHER_SCREEN)
        terminal.until("third")
        assert terminal.modes != before
        if way == "q":
            terminal.type("q")
        else:
            terminal.process.send_signal(signal.SIGINT)
        assert terminal.process.wait(client.LIMIT_S) == 0
        terminal.until(OWN_SCREEN)
        after = terminal.text.partition(OWN_SCREEN)[2]
        assert CURSOR_SHOWN in terminal.text
        assert not after.replace(CURSOR_SHOWN, "").strip()
        assert terminal.modes == before


@pytest.mark.slow
def test_it_shows_what_changes(server: Server) -> None:
    with top(server) as terminal:
        terminal.until("talk")
        server.ask("until other", "other")
        terminal.until("running 2 of")
        server.let_on("other")
        terminal.until("answered 1")


@pytest.mark.slow
def test_a_server_that_went_and_came_back_is_seen_again(folder: Path) -> None:
    with Server(folder) as server, top(server) as terminal:
        terminal.until("running 0 of")
        server.kill()
        terminal.until("connection lost")
        server.start()
        server.ask("hang", "afterwards")
        terminal.until("connected again after")
        terminal.until("afterwards")
        terminal.type("q")
        assert terminal.process.wait(client.LIMIT_S) == 0


@pytest.mark.slow
def test_a_server_that_comes_back_with_another_token_ends_it_with_the_remedy(folder: Path) -> None:
    with Server(folder) as server, top(server) as terminal:
        terminal.until("running 0 of")
        server.kill()
        server.knobs = {"server__tokens": ["t1"]}
        server.start()
        assert terminal.process.wait(client.LIMIT_S) == 1
        terminal.until("RUNNER_TOKEN")
        assert "RUNNER_TOKEN" in terminal.text.partition(OWN_SCREEN)[2]


@pytest.mark.slow
def test_it_fits_a_terminal_of_60_columns_and_20_rows(folder: Path) -> None:
    with Server(folder) as server, top(server, rows=20, columns=60) as terminal:
        for number in range(20):
            server.ask("hang", f"many-{number}")
        terminal.until("not shown: ")
        client.until(lambda: bool(terminal.screens), "a screen is whole")
        screen = terminal.screens[-1]
        assert len(screen) == 20
        assert max(map(cell_len, screen)) <= 60


@pytest.mark.slow
def test_colours_are_left_out_where_nobody_wants_any(server: Server) -> None:
    with top(server) as terminal:
        terminal.until("third")
        client.until(lambda: COLOUR.search(terminal.text) is not None, "there are colours")
    with top(server, NO_COLOR="1") as terminal:
        terminal.until("third")
        terminal.until("q leaves")
        assert not COLOUR.search(terminal.text)

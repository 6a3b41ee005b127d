"""The page while its server is away, and when it is back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.page import Tab, need
from tests.support.server import Server
from tests.web.conftest import NewTab

need()
from playwright.sync_api import expect  # noqa: E402

pytestmark = pytest.mark.slow

AWAY = "ERR_CONNECTION_REFUSED|ERR_INCOMPLETE_CHUNKED_ENCODING|ERR_CONNECTION_RESET|ERR_EMPTY_RESP"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A turn of it ends when its test lets the first word of its message on."""
    with Server(tmp_path, target="tests.support.agents:by_first_word") as running:
        yield running


@pytest.fixture
def tab(new_tab: NewTab) -> Tab:
    return new_tab(tolerated=AWAY).open()


def test_a_killed_server_is_told_and_all_that_was_accepted_is_answered_when_it_is_back(
    tab: Tab, server: Server
) -> None:
    for message in ("a runs", "b waits", "c waits"):
        tab.send(message)
        expect(tab("#lines").get_by_text(message)).to_be_visible()
    server.kill()
    tab.until_connection("waiting")
    expect(tab("#connection")).to_contain_text("no connection")
    for name in "abc":
        server.let_on(name)
    server.start()
    tab.until_connection("live")
    expect(tab.turns("answered")).to_have_count(3)
    expect(tab("#lines-empty")).to_be_visible()
    history = server.history(tab("#conversation").input_value())
    sent = [one["content"] for one in history if one["role"] == "user"]
    assert sent == ["a runs", "b waits", "c waits"]


def test_what_happened_while_the_page_was_cut_off_is_shown(tab: Tab, server: Server) -> None:
    gone = server.ask("a gone", "elsewhere")
    expect(tab(f"#lines li[data-turn-id='{gone}']")).to_have_count(1)
    server.kill()
    tab.until_connection("waiting")
    server.let_on("a")
    server.start()
    server.until_ended(gone)
    new = server.ask("b new", "elsewhere")
    tab.until_connection("live")
    expect(tab(f"#lines li[data-turn-id='{new}'] .place")).to_have_text("runs")
    expect(tab(f"#lines li[data-turn-id='{gone}']")).to_have_count(0)
    expect(tab("#ended div[data-state=answered] dd")).to_have_text("1")


def test_a_server_that_is_drained_and_started_again_goes_on_in_the_page(
    tab: Tab, server: Server
) -> None:
    tab.send("a kept")
    tab.send("b kept")
    expect(tab.turns("waiting")).to_have_count(1)
    server.let_on("a")
    assert server.stop() == 0
    tab.until_connection("waiting")
    server.let_on("b")
    server.start()
    tab.until_connection("live")
    expect(tab.turns("answered")).to_have_count(2)


def test_a_message_sent_while_the_server_is_away_arrives_once(tab: Tab, server: Server) -> None:
    server.let_on("late")
    server.kill()
    tab.send("late words")
    expect(tab.turns("sending")).to_contain_text(["no connection"])
    server.start()
    expect(tab.turns("answered")).to_contain_text(["late words"])
    assert server.calls().count("began late words") == 1

"""The chat of the page: sent at once, in line, cancelled, answered, asked for approval."""

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

PLACES = ["1st in line", "2nd in line", "3rd in line", "4th in line"]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A turn of it ends when its test lets the first word of its message on."""
    with Server(tmp_path, target="tests.support.agents:by_first_word") as running:
        yield running


def places(tab: Tab) -> list[str]:
    said = tab(".turn[data-state=waiting] .turn-status").all_inner_texts()
    return sorted(text.partition(",")[0] for text in said)


def let_on(tab: Tab) -> None:
    """End the turn that runs."""
    message = tab(".turn[data-state=running] .turn-message").inner_text()
    tab.server.let_on(message.split()[0])


def test_of_five_sent_at_once_the_places_count_down_and_all_are_answered(tab: Tab) -> None:
    tab("#send-five").click()
    for answered in range(5):
        expect(tab.turns("answered")).to_have_count(answered)
        expect(tab.turns("running")).to_have_count(1)
        expect(tab.turns("waiting")).to_have_count(4 - answered)
        for place in PLACES[: 4 - answered]:
            expect(tab("#log").get_by_text(place)).to_have_count(1)
        assert places(tab) == PLACES[: 4 - answered]
        let_on(tab)
    expect(tab.turns("answered")).to_have_count(5)


def test_an_answer_streams_while_its_turn_runs(tab: Tab) -> None:
    tab.send("word by word")
    expect(tab(".turn[data-state=running] .turn-answer")).to_have_text("word")
    tab.server.let_on("word")
    expect(tab(".turn[data-state=answered] .turn-answer")).to_have_text("word by word")


def test_who_runs_and_who_waits_is_listed_in_order(tab: Tab) -> None:
    for message in ("a first", "b second", "c third"):
        tab.send(message)
        expect(tab("#lines").get_by_text(message)).to_be_visible()
    expect(tab("#lines .line .place")).to_have_text(["runs", "1st", "2nd"])
    expect(tab("#lines .line .words")).to_have_text(["a first", "b second", "c third"])
    expect(tab("#timeline-canvas")).to_have_attribute(
        "aria-label", "1 conversation: 2 waiting, 1 running"
    )


def test_one_that_waits_is_cancelled_and_those_behind_it_move_up(tab: Tab) -> None:
    for message in ("a runs", "b cancelled", "c behind"):
        tab.send(message)
        expect(tab("#lines").get_by_text(message)).to_be_visible()
    tab(".turn").filter(has_text="b cancelled").get_by_role("button", name="Cancel").click()
    expect(tab.turns("cancelled")).to_contain_text(["b cancelled"])
    expect(tab.turns("waiting")).to_have_count(1)
    expect(tab.turns("waiting")).to_contain_text("1st in line")
    assert "began b cancelled" not in tab.server.calls()


def test_one_that_runs_is_cancelled_and_the_next_begins(tab: Tab) -> None:
    tab.send("a cancelled")
    tab.server.until_called("a cancelled")
    tab.send("b next")
    tab(".turn").filter(has_text="a cancelled").get_by_role("button", name="Cancel").click()
    expect(tab.turns("cancelled")).to_contain_text(["a cancelled"])
    expect(tab.turns("running")).to_contain_text(["b next"])


def test_one_is_cancelled_among_those_who_wait(tab: Tab) -> None:
    tab.send("a runs")
    waiting = tab.server.ask("b elsewhere", "another")
    behind = tab.server.ask("c behind", "another")
    row = tab(f"#lines li[data-turn-id='{behind}']")
    expect(row.locator(".place")).to_have_text("1st")
    row.get_by_role("button").click()
    expect(row).to_have_count(0)
    assert tab.server.turn(behind)["state"] == "cancelled"
    assert tab.server.turn(waiting)["state"] == "running"


def test_another_conversation_is_opened_from_the_list(tab: Tab) -> None:
    tab.server.let_on("old")
    tab.server.chat("old words", "another")
    tab.server.ask("new words", "another")
    tab("#lines .line[data-conversation=another] .open").click()
    expect(tab("#conversation")).to_have_value("another")
    expect(tab("#log .past")).to_have_text(["old words", "old words"])


def test_a_refusal_says_why_and_what_to_do(tmp_path: Path, new_tab: NewTab) -> None:
    target, folder = "tests.support.agents:by_first_word", tmp_path / "rejecting"
    folder.mkdir()
    with Server(folder, target=target, strategy__name="reject") as server:
        tab = new_tab(server, tolerated="status of 409").open()
        tab.send("a runs")
        expect(tab.turns("running")).to_have_count(1)
        tab.send("b refused")
        expect(tab(".turn[data-state=refused] .turn-problem")).to_contain_text("running. Send")
        expect(tab("#refusals div[data-cause=conversation-busy] dd")).to_have_text("1")

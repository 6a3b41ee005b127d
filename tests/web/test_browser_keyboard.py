"""The page by keyboard alone: Tab, Enter, Escape, and letters; the focus is seen and kept."""

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

MOST_STEPS = 80
FOCUSED = "document.activeElement"
IS_SEEN = """() => {
    const at = document.activeElement, style = getComputedStyle(at);
    const box = at.getBoundingClientRect();
    const isInside = box.bottom > 0 && box.top < innerHeight && box.width > 0;
    return isInside && style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 1;
}"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with Server(tmp_path, target="tests.support.keepers:careful") as running:
        yield running


def press(tab: Tab, *keys: str) -> None:
    for key in keys:
        tab.page.keyboard.press(key)


def go_to(tab: Tab, selector: str, key: str = "Tab") -> None:
    """By Tab until it has the focus, which is to be seen on every step."""
    for _ in range(MOST_STEPS):
        press(tab, key)
        if tab.ask(f"{FOCUSED} === document.body"):
            continue  # Once around, at the browser's own bar.
        tab.page.wait_for_function(IS_SEEN)  # The page scrolls to it in its time.
        if tab.ask(f"(selector) => {FOCUSED}.matches(selector)", selector):
            return
    raise AssertionError(f"no way to {selector} by {key}")


def write(tab: Tab, message: str) -> None:
    if not tab.ask(f"{FOCUSED}.matches('#message')"):
        go_to(tab, "#message")
    tab.page.keyboard.type(message)
    press(tab, "Enter")


def test_the_first_stop_leads_to_the_chat(tab: Tab) -> None:
    press(tab, "Tab", "Enter")
    go_to(tab, "#message")


def test_a_message_is_sent_and_answered(tab: Tab) -> None:
    write(tab, "hello")
    expect(tab.turns("answered")).to_contain_text(["done: hello"])
    assert tab.ask(f"{FOCUSED}.matches('#message')")


def test_five_are_sent_at_once(tab: Tab) -> None:
    go_to(tab, "#send-five")
    press(tab, "Enter")
    expect(tab.turns("answered")).to_have_count(5)


def test_a_turn_that_waits_is_cancelled(tab: Tab) -> None:
    write(tab, "until on")
    expect(tab.turns("running")).to_have_count(1)
    write(tab, "cancelled")
    expect(tab.turns("waiting")).to_have_count(1)
    go_to(tab, ".turn[data-state=waiting] .cancel", "Shift+Tab")
    press(tab, "Enter")
    expect(tab.turns("cancelled")).to_contain_text(["cancelled"])
    assert_focus_is_kept(tab)


def test_a_turn_in_the_list_is_cancelled(tab: Tab, server: Server) -> None:
    for message in ("until on", "first", "second"):
        server.ask(message, "listed")
    expect(tab("#lines .place")).to_have_count(3)
    go_to(tab, "#lines li[data-state=waiting] .cancel")
    press(tab, "Enter")
    expect(tab("#lines .place")).to_have_count(2)
    assert_focus_is_kept(tab)
    assert tab.ask(f"{FOCUSED}.closest('#lines') !== null")


def test_a_focus_in_the_list_stays_on_its_turn_while_the_line_moves(
    tab: Tab, server: Server
) -> None:
    for message in ("until on", "until then", "until end"):
        server.ask(message, "moving")
    expect(tab("#lines .place")).to_have_text(["runs", "1st", "2nd"])
    last = tab("#lines li[data-turn-id]").last.get_attribute("data-turn-id")
    go_to(tab, f"#lines li[data-turn-id='{last}'] .cancel")
    server.let_on("on")
    expect(tab("#lines .place")).to_have_text(["runs", "1st"])
    assert tab.ask(f"{FOCUSED}.closest('li').dataset.turnId") == last
    server.let_on("then")
    expect(tab("#lines .place")).to_have_text(["runs"])
    assert tab.ask(f"{FOCUSED}.closest('li').dataset.turnId") == last
    tab.page.wait_for_function(IS_SEEN)
    server.let_on("end")
    expect(tab("#lines-empty")).to_be_visible()
    assert_focus_is_kept(tab)


def test_a_tool_is_approved(tab: Tab) -> None:
    write(tab, "delete x")
    expect(tab(".request")).to_have_count(1)
    go_to(tab, ".request button", "Shift+Tab")
    while not tab.ask(f"{FOCUSED}.textContent === 'Approve'"):
        go_to(tab, ".request button", "Shift+Tab")
    press(tab, "Enter")
    expect(tab.turns("answered")).to_contain_text(['"approve": true'])
    assert_focus_is_kept(tab)


def test_the_strategies_are_compared(tab: Tab) -> None:
    go_to(tab, "#compare-start")
    press(tab, "Enter")
    expect(tab(".arrangement")).to_have_count(6)
    expect(tab(".arrangement[data-state=ended]")).to_have_count(6)
    assert_focus_is_kept(tab)


def test_a_conversation_is_chosen(tab: Tab) -> None:
    go_to(tab, "#conversation")
    press(tab, "Control+a")
    tab.page.keyboard.type("chosen")
    press(tab, "Enter")
    write(tab, "hello")
    expect(tab.turns("answered")).to_have_count(1)
    assert tab.server.history("chosen")


def test_a_token_is_given_and_the_dialog_can_be_left(
    new_tab: NewTab, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("guarded")
    with Server(folder, server__tokens=["ann:a-token"]) as server:
        tab = new_tab(server, tolerated="status of 401").open(state="connecting")
        expect(tab("#token")).to_be_focused()
        press(tab, "Escape")
        expect(tab("#token-dialog")).to_be_hidden()
        tab.until_connection("refused")
        go_to(tab, "#token-enter")
        press(tab, "Enter")
        expect(tab("#token")).to_be_focused()
        tab.page.keyboard.type("a-token")
        press(tab, "Enter")
        tab.until_connection("live")
        assert_focus_is_kept(tab)


def assert_focus_is_kept(tab: Tab) -> None:
    """Not thrown back to the top of the page, where a keyboard would begin anew."""
    assert not tab.ask(f"{FOCUSED} === document.body")

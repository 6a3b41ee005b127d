"""The page of a server with tokens: asked for, kept for the tab, and what each caller sees."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.caller import Caller
from tests.support.page import Tab, need
from tests.support.server import Server
from tests.web.conftest import NewTab

need()
from playwright.sync_api import Route, expect  # noqa: E402

pytestmark = pytest.mark.slow

TOKENS = ["ann:a-token", "bob:b-token", "op:o-token"]
UNKNOWN = "status of 401"
"""The browser itself says so of each."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder, operators = tmp_path_factory.mktemp("tokens"), ["op"]
    with Server(folder, server__tokens=TOKENS, server__operators=operators) as running:
        yield running


@pytest.fixture
def tab(new_tab: NewTab) -> Tab:
    return new_tab(tolerated=UNKNOWN)


def test_a_token_is_asked_for_and_then_all_is_shown(tab: Tab, ann: Caller) -> None:
    ann.chat("words of ann", "asked")
    tab.open("/?conversation=asked", state="connecting")
    expect(tab("#token-dialog")).to_be_visible()
    expect(tab("#token")).to_be_focused()
    assert "words of ann" not in tab("body").inner_text()
    tab.give("a-token")
    tab.until_connection("live")
    expect(tab("#log .past").first).to_have_text("words of ann")
    expect(tab("#connection")).to_contain_text("ann")


def test_a_wrong_token_is_told_and_asked_for_again(tab: Tab) -> None:
    tab.open(state="connecting").give("wrong")
    expect(tab("#token-error")).to_contain_text("does not know this token")
    tab.give("a-token")
    tab.until_connection("live")
    expect(tab("#token-dialog")).to_be_hidden()


def test_a_token_is_kept_for_the_tab_and_not_beyond_it(tab: Tab) -> None:
    tab.open(token="a-token")
    tab.open()
    expect(tab("#token-dialog")).to_be_hidden()
    another = tab.watch(tab.context.new_page())
    another.goto(tab.page.url)
    expect(another.locator("#token-dialog")).to_be_visible()
    assert tab.context.cookies() == []
    assert tab.ask("localStorage.length") == 0
    assert "a-token" not in tab.page.url


def test_a_forgotten_token_is_gone_with_all_that_it_showed(tab: Tab, ann: Caller) -> None:
    ann.chat("words of ann", "forgotten")
    tab.open("/?conversation=forgotten", token="a-token")
    expect(tab("#log .past").first).to_have_text("words of ann")
    tab("#token-forget").click()
    expect(tab("#token-dialog")).to_be_visible()
    assert "words of ann" not in tab("body").inner_text()
    assert tab.ask("sessionStorage.getItem('turnline.token')") is None


def test_a_dialog_that_is_put_off_can_be_opened_again(tab: Tab) -> None:
    tab.open(state="connecting")("#token-cancel").click()
    tab.until_connection("refused")
    tab("#token-enter").click()
    tab.give("b-token")
    tab.until_connection("live")


def test_what_was_asked_for_before_the_dialog_was_put_off_does_not_open_it_again(tab: Tab) -> None:
    held: list[Route] = []
    tab.page.route("**/history*", lambda route: held.append(route))
    with tab.page.expect_request("**/history*"):
        tab.open(state="connecting")
    tab("#token-cancel").click()
    held[0].continue_()
    expect(tab("#log .turn-problem")).to_be_visible()
    expect(tab("#token-dialog")).to_be_hidden()


def test_a_caller_sees_its_own_turns_alone(
    new_tab: NewTab, ann: Caller, bob: Caller, server: Server
) -> None:
    theirs = held(bob, "bobs")
    own = held(ann, "anns")
    tab = new_tab(tolerated=UNKNOWN).open(token="a-token")
    expect(tab(f"#lines li[data-turn-id='{own}'] .words")).to_have_text("until anns")
    expect(tab(f"#lines li[data-turn-id='{theirs}']")).to_have_count(0)
    assert "bobs" not in tab("body").inner_text()
    for name in ("bobs", "anns"):
        server.let_on(name)


def test_an_operator_sees_everyones_turns_without_their_texts_and_cancels_them(
    tab: Tab, ann: Caller
) -> None:
    turn = held(ann, "secret-of-ann")
    tab.open(token="o-token")
    expect(tab("#connection")).to_have_text("live, as op, an operator")
    row = tab(f"#lines li[data-turn-id='{turn}']")
    expect(tab("#lines .line[data-caller=ann] h3")).to_contain_text("ann")
    expect(row.locator(".words")).to_have_text("")
    assert "until secret-of-ann" not in tab("body").inner_text()
    row.get_by_role("button").click()
    expect(row).to_have_count(0)
    assert ann("GET", f"/turns/{turn}").json["state"] == "cancelled"


def test_an_operator_sees_the_settings_with_their_secrets_masked(tab: Tab) -> None:
    tab.open(token="o-token")("#settings summary").click()
    expect(tab("#settings-table")).to_contain_text("server.tokens")
    for token in TOKENS:
        assert token.partition(":")[2] not in tab("#settings").inner_text()


def test_another_caller_is_told_that_settings_are_not_for_him(new_tab: NewTab) -> None:
    tab = new_tab(tolerated=f"{UNKNOWN}|status of 404").open(token="a-token")
    tab("#settings summary").click()
    expect(tab("#settings-status")).to_contain_text("operators")


def held(caller: Caller, name: str) -> str:
    """A turn that runs until there is a file of that name."""
    return str(caller.chat(f"until {name}", name, prefer="respond-async").json["turn_id"])

"""Side by side: lanes, what each sender was told, and what became of the history."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.client import until
from tests.support.page import Tab, need
from tests.support.server import Server
from tests.web.conftest import NewTab

need()
from playwright.sync_api import expect  # noqa: E402

pytestmark = pytest.mark.slow

ARRANGEMENTS = ["none", "lock", "queue", "reject", "interrupt", "merge"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("compared")) as running:
        yield running


def run(tab: Tab) -> None:
    tab("#compare-start").click()
    expect(tab(".arrangement[data-state=ended]")).to_have_count(len(ARRANGEMENTS))


def test_each_arrangement_shows_its_lanes_what_was_told_and_a_verdict(tab: Tab) -> None:
    run(tab)
    shown = tab.ask(
        "[...document.querySelectorAll('.arrangement')].map((one) => one.dataset.arrangement)"
    )
    assert shown == ARRANGEMENTS
    for name in ARRANGEMENTS:
        one = tab(f".arrangement[data-arrangement={name}]")
        expect(one.locator(".verdict")).not_to_be_empty()
        expect(one.locator(".told li")).to_have_count(5)
        assert all(one.locator(".told li").all_inner_texts())
        assert tab.ask("(canvas) => canvas.getContext('2d').getImageData(0, 0, canvas.width, "
                       "canvas.height).data.some((one) => one)",
                       one.locator("canvas").element_handle())  # fmt: skip
    expect(tab("#compare-start")).to_be_enabled()


def test_what_each_strategy_does_is_told_apart(tab: Tab) -> None:
    run(tab)
    answered = [
        tab(f".arrangement[data-arrangement={name}] .told li[data-state=answered]").count()
        for name in ("queue", "reject", "interrupt")
    ]
    assert answered == [5, 1, 1]
    refused = tab(".arrangement[data-arrangement=reject] .told li[data-state=refused]")
    expect(refused).to_have_count(4)
    expect(refused.first).to_contain_text("409")


def test_nothing_of_the_server_is_touched(tab: Tab) -> None:
    run(tab)
    assert tab.server.calls() == []
    assert tab.server.request("GET", "/view").json["ended"] == {}
    expect(tab("#lines-empty")).to_be_visible()
    expect(tab("#ended-none")).to_be_visible()


def test_who_comes_second_is_told_to_wait(new_tab: NewTab) -> None:
    first, second = new_tab().open(), new_tab(tolerated="status of 429").open()
    first("#compare-start").click()
    expect(first(".arrangement")).to_have_count(len(ARRANGEMENTS))
    second("#compare-start").click()
    expect(second("#compare-status")).to_contain_text("Try again in")
    expect(second("#compare-start")).to_be_enabled()


def test_a_tab_that_leaves_ends_it_for_the_next(new_tab: NewTab, server: Server) -> None:
    second = new_tab().open()
    alone = server.health()["requests_in_flight"]
    first = new_tab().open()
    first("#compare-start").click()
    expect(first(".arrangement")).to_have_count(len(ARRANGEMENTS))
    first.page.close()
    until(lambda: server.health()["requests_in_flight"] == alone, "the server knows that it left")
    run(second)

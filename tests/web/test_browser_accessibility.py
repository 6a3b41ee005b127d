"""What axe-core finds on the page: nothing that is serious or critical, in any of its states."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.doors import node
from tests.support.page import Tab, need
from tests.support.server import Server
from tests.web.conftest import NewTab

need()
node.need("axe-core")
from playwright.sync_api import expect  # noqa: E402

pytestmark = pytest.mark.slow

AXE = node.MODULES / "axe-core" / "axe.min.js"
GRAVE = ("serious", "critical")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("accessibility")
    with Server(folder, target="tests.support.keepers:careful") as running:
        yield running


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("guarded")
    with Server(folder, server__tokens=["ann:a-token"]) as running:
        yield running


@pytest.fixture(autouse=True)
def nothing_left(server: Server) -> Iterator[None]:
    yield
    for line in server.request("GET", "/view").json["lines"]:
        for turn in line["turns"]:
            server.cancel(turn["id"])


def empty(tab: Tab) -> None:
    tab("#settings summary").click()
    expect(tab("#settings-table tbody tr").first).to_be_visible()


def five_waiting(tab: Tab) -> None:
    for _ in range(4):  # The agent is one object, so the others wait for the first of these.
        tab.server.ask("hang", "waiting")
    for _ in range(2):
        tab.send("hang")
    expect(tab.turns("waiting")).to_have_count(2)
    expect(tab("#lines .place")).to_have_count(6)


def question_open(tab: Tab) -> None:
    tab.send("delete x")
    tab.send("ask colour")  # It was not taken, and says so.
    expect(tab(".request")).to_have_count(2)


def failed(tab: Tab) -> None:
    tab.send("raise Exception")
    expect(tab.turns("failed")).to_have_count(1)


def side_by_side_done(tab: Tab) -> None:
    tab("#compare-start").click()
    expect(tab(".arrangement[data-state=ended]")).to_have_count(6)
    expect(tab("#compare-start")).to_be_enabled()


STATES: tuple[Callable[[Tab], None], ...] = (
    empty, five_waiting, question_open, failed, side_by_side_done,
)  # fmt: skip


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__)
def test_nothing_grave_is_found_where(
    new_tab: NewTab, state: Callable[[Tab], None], width: int, scheme: str
) -> None:
    viewport = {"width": width, "height": 844}
    tab = new_tab(viewport=viewport, color_scheme=scheme, tolerated="status of (409|500)").open()
    state(tab)
    assert grave(tab) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_grave_is_found_where_a_token_is_asked_for(
    new_tab: NewTab, guarded: Server, width: int, scheme: str
) -> None:
    viewport = {"width": width, "height": 844}
    tab = new_tab(guarded, viewport=viewport, color_scheme=scheme, tolerated="status of 401")
    tab.open(state="connecting").give("wrong")
    expect(tab("#token-error")).not_to_be_empty()
    assert grave(tab) == []


def test_what_is_grave_would_be_found(tab: Tab) -> None:
    tab.ask("document.body.append(Object.assign(document.createElement('button'), {id: 'bare'}))")
    assert any("button-name" in found for found in grave(tab))


def grave(tab: Tab) -> list[str]:
    """The rules that the page breaks, each with where."""
    tab.ask(AXE.read_text())
    tab.ask("Promise.all(document.getAnimations().map((one) => one.finished.catch(() => {})))")
    found = tab.ask("async () => (await axe.run()).violations")
    return [
        f"{one['impact']} {one['id']}: {one['help']}: {[at['html'][:200] for at in one['nodes']]}"
        for one in found
        if one["impact"] in GRAVE
    ]

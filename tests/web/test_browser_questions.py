"""What an agent asks a person for, answered on the page."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.page import Tab, need
from tests.support.server import Server
from tests.web.conftest import NewTab

need()
from playwright.sync_api import expect  # noqa: E402

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("questions")
    with Server(folder, target="tests.support.keepers:careful") as running:
        yield running


def test_a_tool_is_approved_and_runs(tab: Tab) -> None:
    tab.send("delete approved")
    request = tab(".request")
    expect(request).to_contain_text("Delete approved?")
    expect(request.locator("pre")).to_contain_text('"path": "approved"')
    assert "tool delete approved" not in tab.server.calls()
    request.get_by_role("button", name="Approve").click()
    expect(tab.turns("answered")).to_contain_text(['"approve": true'])
    assert "tool delete approved" in tab.server.calls()
    expect(request.get_by_role("button", name="Approve")).to_be_disabled()


def test_a_tool_is_declined_and_the_agent_is_told(tab: Tab) -> None:
    tab.send("delete declined")
    tab(".request").get_by_role("button", name="Decline").click()
    expect(tab.turns("answered")).to_contain_text(['"approve": false'])


def test_questions_are_answered_together(tab: Tab) -> None:
    tab.send("ask colour, size")
    for question, answer in (("colour?", "red"), ("size?", "small")):
        tab.page.get_by_role("textbox", name=question).fill(answer)
        tab(".request").filter(has_text=question).get_by_role("button", name="Answer").click()
    expect(tab.turns("answered")).to_contain_text(['"value": "red"'])
    expect(tab.turns("answered")).to_contain_text(['"value": "small"'])


def test_questions_are_dropped_and_the_conversation_goes_on(tab: Tab) -> None:
    tab.send("delete dropped")
    tab(".drop-requests").click()
    expect(tab(".request button").first).to_be_disabled()
    expect(tab.turns("cancelled").or_(tab.turns("answered")).last).to_be_visible()
    tab.send("hello")
    expect(tab.turns("answered").last).to_contain_text("hello")


def test_an_open_question_is_there_again_after_a_reload(new_tab: NewTab) -> None:
    tab = new_tab().open()
    tab.send("delete reloaded")
    expect(tab(".request")).to_have_count(1)
    tab.open()
    expect(tab(".request")).to_have_count(1)
    tab(".request").get_by_role("button", name="Approve").click()
    expect(tab.turns("answered")).to_contain_text(['"approve": true'])

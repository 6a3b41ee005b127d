"""Texts of people, agents and the server on the page: they are read, and never run."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from urllib.parse import quote

import pytest

from tests.support.page import Tab, need
from tests.support.server import Server
from tests.web.conftest import NewTab

need()
from playwright.sync_api import expect  # noqa: E402

pytestmark = pytest.mark.slow

IMAGE = "<img src=x onerror=window.ran=1>"
SCRIPT = "<script>window.ran=1</script>"
HOSTILE = (
    IMAGE,
    SCRIPT,
    "</p><svg onload=window.ran=1>",
    "<a href=javascript:window.ran=1>here</a>",
    "&lt;b&gt; &amp; \u202egnp.exe\u202c \u2067\u05d0\u05d1\u2069",
    "**bold** [link](javascript:window.ran=1)",
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Whose agent has an id that is markup too."""
    folder = tmp_path_factory.mktemp("texts")
    with Server(folder, target="tests.support.keepers:careful", agent__id=IMAGE) as running:
        yield running


def assert_nothing_ran(tab: Tab) -> None:
    tab.ask("new Promise((done) => setTimeout(done, 200))")  # An image fails after its insertion.
    assert tab.ask("window.ran") is None
    assert tab("main img, main svg, main script, main b, #log a, #lines a").count() == 0


@pytest.mark.parametrize("text", HOSTILE)
def test_a_message_and_its_answer_are_text_in_chat_list_and_history(tab: Tab, text: str) -> None:
    tab.send(text)
    expect(tab(".turn[data-state=answered] .turn-message")).to_have_text(text, use_inner_text=True)
    expect(tab(".turn[data-state=answered] .turn-answer")).to_contain_text(text)
    tab.open()
    expect(tab("#log .past").first).to_have_text(text)
    assert_nothing_ran(tab)


def test_a_running_message_is_text_in_the_list(tab: Tab, server: Server) -> None:
    turn = server.ask(f"until text {IMAGE}", "listed")
    expect(tab(f"#lines li[data-turn-id='{turn}'] .words")).to_contain_text(IMAGE)
    assert_nothing_ran(tab)
    server.cancel(turn)


def test_an_agents_words_in_its_requests_are_text(new_tab: NewTab) -> None:
    tab = new_tab(tolerated="status of 409").open()
    tab.send(f"delete {IMAGE}{SCRIPT}")
    expect(tab(".request legend")).to_have_text(f"Delete {IMAGE}{SCRIPT}?")
    expect(tab(".request pre")).to_contain_text(IMAGE)
    tab.send("another")  # Refused while it is open: the refusal repeats the request.
    expect(tab(".request")).to_have_count(2)
    assert_nothing_ran(tab)


def test_a_question_of_an_agent_is_text(tab: Tab) -> None:
    tab.send(f"ask {IMAGE}")
    expect(tab(".request legend")).to_have_text(f"{IMAGE}?")
    assert_nothing_ran(tab)


def test_whatever_a_server_says_of_its_turns_is_text(new_tab: NewTab) -> None:
    """Names that ours would refuse too: of conversations, callers, turns, causes and states."""
    turn = {"id": IMAGE, "conversation": SCRIPT, "caller": IMAGE, "accepted_at": time.time() - 1}
    listed = {**turn, "state": "waiting", "position": 1, "eta_s": 1, "message": SCRIPT}
    line = {"conversation": SCRIPT, "caller": IMAGE, "waiting": 1, "running": 0, "turns": [listed]}
    mark = {**turn, "id": SCRIPT, "state": IMAGE, "cause": IMAGE, "ended_at": time.time()}
    view = {
        "whole": True, "now": time.time(),
        "you": {"caller": IMAGE, "everyone": True, "texts": True},
        "strategy": IMAGE, "agent_id": IMAGE, "limits": {},
        "load": {"waiting": 1, "running": 0, "fenced": 0, "oldest_wait_s": 1},
        "ended": {IMAGE: 3}, "refused": {SCRIPT: 2}, "wait_s": None, "run_s": None,
        "lines": [line], "marks": [mark], "left_out": {"lines": 0, "marks": 0},
    }  # fmt: skip
    tab = new_tab()
    told = f"retry: 60000\n\nid: 1\nevent: view\ndata: {json.dumps(view)}\n\n"
    tab.page.route(
        "**/view", lambda route: route.fulfill(body=told, content_type="text/event-stream")
    )
    tab.open(state="waiting")
    expect(tab("#lines h3")).to_have_text(f"{IMAGE} / {SCRIPT}")
    expect(tab("#lines .words")).to_have_text(SCRIPT)
    expect(tab("#strategy strong")).to_have_text(IMAGE)
    expect(tab("#ended dt")).to_have_text(IMAGE)
    expect(tab("#refusals")).to_contain_text("script")
    assert_nothing_ran(tab)


def test_a_conversation_in_the_address_is_text(new_tab: NewTab) -> None:
    tab = new_tab(tolerated="status of 422").open(f"/?conversation={quote(SCRIPT)}")
    expect(tab("#conversation")).to_have_value(SCRIPT)
    assert_nothing_ran(tab)


def test_the_id_of_the_agent_is_text(tab: Tab) -> None:
    expect(tab("#agent")).to_contain_text(IMAGE)
    assert_nothing_ran(tab)


def test_a_refusals_detail_is_text(new_tab: NewTab) -> None:
    tab = new_tab(tolerated="status of 4").open()
    problem = {
        "type": "urn:turnline:problem:overload", "title": "<b>No</b>", "detail": IMAGE,
        "outcome": "not_started", "status": 429, "retry_after_s": 1,
    }  # fmt: skip
    tab.page.route("**/chat", lambda route: route.fulfill(status=429, json=problem))
    tab.send("hello")
    expect(tab(".turn[data-state=refused] .turn-problem")).to_contain_text(IMAGE)
    assert_nothing_ran(tab)


def test_the_policy_of_the_page_allows_its_own_files_alone(tab: Tab) -> None:
    answer = tab.page.reload()
    assert answer is not None
    policy = answer.headers["content-security-policy"]
    for rule in ("default-src 'none'", "script-src 'self'", "require-trusted-types-for 'script'"):
        assert rule in policy
    assert "unsafe" not in policy


def test_what_the_policy_forbids_would_fail_a_test(tab: Tab) -> None:
    """Else nothing above had shown anything."""
    tab.ask("document.body.append(Object.assign(new Image(), {src: 'http://127.0.0.2/x.png'}))")
    with pytest.raises(Exception, match="TrustedHTML"):
        tab.ask("document.body.innerHTML += '<img src=x onerror=window.ran=1>'")
    assert tab.ask("window.ran") is None
    assert any("img-src" in fault for fault in tab.faults)
    assert any("require-trusted-types-for" in fault for fault in tab.faults)
    tab.faults.clear()

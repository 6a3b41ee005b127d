"""The page with much to show, for long, and in little room: what it keeps is bounded."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.support.client import until
from tests.support.page import Tab, need
from tests.support.server import Knobs, Server
from tests.web.conftest import NewTab

need()
from playwright.sync_api import expect  # noqa: E402

pytestmark = pytest.mark.slow

WAITING = 1_000
MOST_NODES = 20_000
FRAMES = """async (duration_ms) => {
    let frames = 0;
    const began = performance.now();
    while (performance.now() - began < duration_ms) {
        await new Promise(requestAnimationFrame);
        frames++;
    }
    return frames;
}"""
NODES = "document.querySelectorAll('*').length"
DRAWN = """
window.drawn = [];
for (const [name, note] of [
    ["clearRect", () => drawn.push([])],
    ["fillText", (text) => drawn.at(-1)?.push(text)],
]) {
    const draw = CanvasRenderingContext2D.prototype[name];
    CanvasRenderingContext2D.prototype[name] = function (...given) {
        note(...given);
        return draw.apply(this, given);
    };
}"""
"""Notes the texts of each drawing."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("load")) as running:
        yield running


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A thousand turns wait there, in ten conversations and in one that is long."""
    knobs: Knobs = {
        "strategy__max_waiting": WAITING,
        "strategy__max_waiting_per_conversation": WAITING,
    }
    with Server(tmp_path_factory.mktemp("crowded"), strategy__max_running=2, **knobs) as running:
        running.ask("hang", "long")
        running.ask("hang", "short-0")
        for number in range(WAITING // 2):
            running.ask("sleep 0.1", "long")
            running.ask("sleep 0.1", f"short-{number % 60}")
        yield running


def test_the_axis_of_the_chart_names_no_instant_twice(new_tab: NewTab) -> None:
    tab = new_tab()
    tab.context.add_init_script(DRAWN)
    tab.open()
    until(lambda: sum("4" in texts for texts in tab.ask("drawn")) > 3, "it has a second's figures")
    assert [one for one in tab.ask("drawn") if len(set(one)) < len(one)] == []


def test_a_thousand_that_wait_are_shown_in_a_bounded_page(new_tab: NewTab, crowded: Server) -> None:
    tab = new_tab(crowded).open()
    expect(tab("#load")).to_contain_text("1,000 wait")
    expect(tab("#lines-list > .line")).to_have_count(40)
    expect(tab("#lines-more")).to_contain_text("and 21 more conversations")
    long = tab(".line[data-conversation=long]")
    expect(long.locator(".line-more")).to_have_text("and 480 more")
    expect(long.locator("li[data-turn-id]")).to_have_count(21)
    assert tab.ask(NODES) < MOST_NODES


def test_frames_go_on_while_a_thousand_wait_and_the_line_moves(
    new_tab: NewTab, crowded: Server, record_property: Callable[[str, object], None]
) -> None:
    idle, busy = new_tab().open(), new_tab(crowded).open()
    expect(busy("#load")).to_contain_text("1,000 wait")
    least = idle.ask(FRAMES, 3_000)
    crowded.cancel(crowded.turn_of("short-0")["turn_id"])  # From now on turns run and end.
    frames = busy.ask(FRAMES, 3_000)
    record_property("frames of those of an idle page", frames / least)
    print(f"{frames} frames in 3 s, {frames / least:.2f} of an idle page's {least}")
    assert frames > 1
    assert busy.ask(NODES) < MOST_NODES


@pytest.mark.parametrize("width", [320, 390])
def test_nothing_is_wider_than_a_phone(new_tab: NewTab, server: Server, width: int) -> None:
    tab = new_tab(viewport={"width": width, "height": 844}).open(f"/?conversation={'c' * 128}")
    turn = server.ask(f"hang {'word' * 100}", "w" * 128)
    tab.send("x" * 2_000)
    tab("#settings summary").click()
    tab("#compare-start").click()
    expect(tab(f"#lines li[data-turn-id='{turn}']")).to_be_visible()
    expect(tab(".arrangement[data-state=ended]")).to_have_count(6)
    expect(tab("#settings-table tbody tr").first).to_be_visible()
    assert tab.ask("document.documentElement.scrollWidth") <= width
    server.cancel(turn)


def test_after_an_hour_the_page_keeps_no_more_than_after_minutes(
    new_tab: NewTab, server: Server
) -> None:
    tab = new_tab()
    tab.page.clock.install()
    tab.open()
    first = kept_after_minutes(tab)
    tab.page.clock.fast_forward("50:00")
    assert kept_after_minutes(tab) - first < 500_000
    assert tab.ask(NODES) < 1_000


def kept_after_minutes(tab: Tab) -> int:
    """Bytes that the page's scripts keep, with a hundred turns more and 11 minutes later."""
    for number in range(100):
        tab.server.chat(f"{number}", "other")
    tab.page.clock.run_for("11:00")
    session = tab.context.new_cdp_session(tab.page)
    session.send("HeapProfiler.collectGarbage")
    used = session.send("Runtime.getHeapUsage")["usedSize"]
    session.detach()
    return int(used)


def test_of_turns_that_ended_the_page_keeps_some_thousands_at_most(tab: Tab) -> None:
    kept = tab.ask("""async () => {
        const { View } = await import("./web/view.js");
        const view = new View();
        const now = Date.now() / 1000;
        for (let turn = 0; turn < 50_000; turn++) {
            const mark = {id: `${turn}`, conversation: "c", state: "answered", ended_at: now};
            view.take({now, marks: [mark]});
        }
        return view.turns.size;
    }""")
    assert 1_000 < kept <= 5_000


def test_a_tab_that_is_not_looked_at_lets_its_stream_go(new_tab: NewTab, server: Server) -> None:
    tab = new_tab()
    tab.page.clock.install()
    tab.open()
    tab.ask("""() => {
        Object.defineProperty(document, "hidden", {value: true, configurable: true});
        document.dispatchEvent(new Event("visibilitychange"));
    }""")
    tab.page.clock.fast_forward("01:00")
    tab.until_connection("paused")
    tab.ask("""() => {
        delete document.hidden;
        document.dispatchEvent(new Event("visibilitychange"));
    }""")
    tab.until_connection("live")

"""Makes the pictures in docs of a real server under load: python -m tests.web.screenshots

It takes a minute. Look at them before they are committed.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.page import Tab, chromium
from tests.support.server import ROOT, Server

if TYPE_CHECKING:
    from playwright.sync_api import FloatRect

DOCS = ROOT / "docs"
MOST_BYTES = 200_000
DESKTOP = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}
LOAD_S = 50.0
CALLERS = (("support-42", 1.8), ("ward-7", 6.5))
"""Conversations that others have, and how often a message comes to each, in seconds."""

AGENT = """
import asyncio


async def answer(message):
    for word in f"You said: {message} Tell me more about that, if you like.".split():
        await asyncio.sleep(0.12)
        yield f"{word} "
"""
"""Takes its time, in words."""


def main() -> int:
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        (Path(folder) / "counsellor.py").write_text(AGENT)
        with Server(Path(folder), target="counsellor:answer", agent__id="counsellor") as server:
            desktop = Tab(browser, server, viewport=DESKTOP).open("/?conversation=anna")
            phone = Tab(browser, server, viewport=PHONE, device_scale_factor=2)
            under_load(desktop)
            phone.open("/?conversation=ben")
            phone("#send-five").click()
            desktop.page.wait_for_timeout(2_500)
            take(desktop, "page-desktop.png")
            take(phone, "page-phone.png")
            compared(Tab(browser, server, viewport=DESKTOP).open())
            return bool(desktop.faults or phone.faults)


def under_load(tab: Tab) -> None:
    """What a busy minute leaves on the page: all that runs, waits and was answered."""
    due = dict.fromkeys((name for name, _ in CALLERS), 0.0)
    at = 0.0
    while at < LOAD_S:
        for name, pause_s in CALLERS:
            if at >= due[name]:
                tab.server.ask("How long does this take?", name)
                due[name] = at + pause_s
        if at == LOAD_S - 3.0:
            tab("#send-five").click()
        tab.page.wait_for_timeout(500)
        at += 0.5


def compared(tab: Tab) -> None:
    tab("#compare-start").click()
    tab.page.wait_for_selector("#compare-start[aria-disabled=false]")
    tab.page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")
    box = tab("#side-by-side").bounding_box()
    assert box
    across: FloatRect = {"x": 0, "y": box["y"], "width": DESKTOP["width"], "height": box["height"]}
    write(tab.page.screenshot(full_page=True, clip=across), "side-by-side.png")


def take(tab: Tab, name: str) -> None:
    write(tab.page.screenshot(), name)


def write(picture: bytes, name: str) -> None:
    print(f"{name}: {len(picture) // 1000} kB")
    assert len(picture) < MOST_BYTES, name
    (DOCS / name).write_bytes(picture)


if __name__ == "__main__":
    sys.exit(main())

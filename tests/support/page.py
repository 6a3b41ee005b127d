"""The page of a server in a real browser, and all that goes wrong while it is open there.

Playwright drives Debian's Chromium, so nothing is downloaded for it.
"""

from __future__ import annotations

import importlib.util
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from tests.support import browser
from tests.support.client import LIMIT_S, until
from tests.support.server import Server

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Locator, Page, Request

ADDRESS = "http://127.0.0.1"
INSTALL = "not installed: Playwright; see `make test-doors`, or: pip install playwright"
VIOLATIONS = """addEventListener("securitypolicyviolation", (event) => console.error(
    `the policy forbids ${event.violatedDirective} ${event.blockedURI}`));"""

LIVING = ("sending", "waiting", "running")


def need() -> None:
    """Skip the module where there is no browser, or nothing to drive it."""
    if importlib.util.find_spec("playwright") is None:
        pytest.skip(INSTALL, allow_module_level=True)
    if browser.find() is None:
        pytest.skip(browser.INSTALL, allow_module_level=True)


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser without a window."""
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=LIMIT_S * 1000)
    arguments = ["--disable-gpu", "--disable-background-networking", "--no-first-run"]
    arguments += ["--no-sandbox"] if os.geteuid() == 0 else []  # It refuses root otherwise.
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=browser.find(), args=arguments)
        yield started
        started.close()


class Tab:
    """One that shows the page of a server, in a browser profile of its own.

    tolerated   a pattern of console errors that its test brings about.
    faults      everything that no reader should bring about: requests to others, errors.
    """

    def __init__(
        self, of: Browser, server: Server, *, tolerated: str | None = None, **context: Any
    ) -> None:
        self.server = server
        self.faults: list[str] = []
        self.hosts: set[str] = set()
        self._tolerated = tolerated
        self.context: BrowserContext = of.new_context(**context)
        self.context.set_default_timeout(LIMIT_S * 1000)
        self.context.add_init_script(VIOLATIONS)
        self.context.on("request", self._asked)
        self.page: Page = self.watch(self.context.new_page())

    def watch(self, page: Page) -> Page:
        page.on(
            "pageerror", lambda error: self.faults.append(f"page error: {error.stack or error}")
        )
        page.on("console", lambda said: self._said(said.type, said.text))
        return page

    def _asked(self, request: Request) -> None:
        host = urlsplit(request.url).netloc
        self.hosts.add(host)
        if host != f"127.0.0.1:{self.server.port}":
            self.faults.append(f"request to another host: {request.url}")

    def _said(self, kind: str, text: str) -> None:
        is_expected = self._tolerated is not None and re.search(self._tolerated, text)
        if kind in ("error", "warning", "assert") and not is_expected:
            self.faults.append(f"console {kind}: {text}")

    # What its reader does.

    def open(self, path: str = "/", *, token: str = "", state: str = "live") -> Tab:
        """Load the page; until its view is in that state. The token goes where one is asked for."""
        self.page.goto(f"{ADDRESS}:{self.server.port}{path}")
        if token:
            self.give(token)
        self.until_connection(state)
        return self

    def give(self, token: str) -> None:
        """Into the dialog that asks for one."""
        self("#token").fill(token)
        self("#token-use").click()

    def send(self, message: str) -> None:
        """And wait for what the server makes of it."""
        before = self(".turn").count()
        self("#message").fill(message)
        self("#send").click()
        until(lambda: self(".turn").count() > before, "the message is in the chat")

    # What it shows.

    def __call__(self, selector: str) -> Locator:
        return self.page.locator(selector)

    def turns(self, state: str) -> Locator:
        """Those of the chat that are in that state."""
        return self(f"#log .turn[data-state={state}]")

    def until_connection(self, state: str) -> None:
        self.page.wait_for_selector(f"#connection[data-state={state}]")

    def ask(self, script: str, given: object = None) -> Any:
        """What the script gives in the page."""
        return self.page.evaluate(script, given)

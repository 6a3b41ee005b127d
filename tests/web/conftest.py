"""A browser, and tabs of it in which nothing may go wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.page import Tab, chromium
from tests.support.server import Server

if TYPE_CHECKING:
    from playwright.sync_api import Browser

NewTab = Callable[..., Tab]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Of one module, as its driver has a running loop, which asynchronous tests cannot have."""
    with chromium() as started:
        yield started


@pytest.fixture
def new_tab(browser: Browser, server: Server) -> Iterator[NewTab]:
    """Makes tabs at the server's page. At the end of the test nothing may have gone wrong."""
    tabs: list[Tab] = []

    def make(at: Server | None = None, **options: Any) -> Tab:
        tabs.append(Tab(browser, at or server, **options))
        return tabs[-1]

    yield make
    faults = [fault for tab in tabs for fault in tab.faults]
    for tab in tabs:
        tab.context.close()
    assert not faults, "\n".join(faults)


@pytest.fixture
def tab(new_tab: NewTab) -> Tab:
    """One with the page open."""
    return new_tab().open()

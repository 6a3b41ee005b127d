"""The pages: whose address stands in their examples."""

from __future__ import annotations

import pytest

from runner.api import examples, pages
from runner.api.exchange import Request

SHOWN = f"<pre>curl {examples.ORIGIN}/chat</pre>".encode()


async def never() -> None:
    raise AssertionError("the page is made without asking the client for more")


def shown_to(host: bytes, scheme: str = "http") -> bytes:
    request = Request({"scheme": scheme}, {b"host": host}, b"", "", never)
    return pages.page(SHOWN, request).body


@pytest.mark.parametrize(
    "host",
    [b"x;rm", b"x'y", b"<bad>", b"$(id)", b"`id`", b"x y", b"x/y", b"\xff", b"", b"x\n", b"a:b"],
)
def test_an_address_that_a_shell_or_a_browser_would_read_as_its_own_is_not_shown(
    host: bytes,
) -> None:
    assert shown_to(host) == SHOWN


@pytest.mark.parametrize("host", [b"localhost:8931", b"a-b.example", b"[::1]:80", b"127.0.0.1"])
def test_an_example_has_the_address_where_its_reader_is(host: bytes) -> None:
    assert shown_to(host, "https") == b"<pre>curl https://%b/chat</pre>" % host

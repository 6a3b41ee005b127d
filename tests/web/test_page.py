"""The page and its files, as they are served. What they do in a browser is tested elsewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.client import Answer
from tests.support.server import Knobs, Server

BROWSER = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
STATIC = Path(__file__).parents[2] / "runner" / "web"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("page"), store__url="memory:") as running:
        yield running


def directives(page: Answer) -> dict[str, str]:
    """Of its policy, by their names."""
    parts = page.headers["content-security-policy"].split("; ")
    return {name: rest for name, _, rest in (part.partition(" ") for part in parts)}


def names_in(text: str) -> set[str]:
    """The files of the page that a text of it names."""
    named = re.findall(
        r"""(?:href="|src="|from "\.|import "\.|import\("\.)(?:web)?/([^"]+)""", text
    )
    return {name for name in named if "." in name}


def test_all_that_the_page_and_its_modules_name_is_there(server: Server) -> None:
    to_read = {"": server.request("GET", "/", None, BROWSER).body.decode()}
    seen: set[str] = set()
    while to_read:
        _, text = to_read.popitem()
        for name in names_in(text) - seen - {"openapi.json"}:
            answer = server.request("GET", f"/web/{name}")
            assert answer.status == 200, name
            seen.add(name)
            to_read[name] = answer.body.decode()
    assert {"main.js", "page.css", "uPlot.esm.js", "uPlot.min.css", "chat.js"} <= seen


def test_every_file_in_the_folder_is_used(server: Server) -> None:
    texts = [server.request("GET", "/", None, BROWSER).body.decode()]
    files = [path for path in (STATIC / "static").iterdir() if path.suffix in {".js", ".css"}]
    texts += [path.read_text() for path in files]
    used = set[str]().union(*map(names_in, texts))
    assert {path.name for path in files} <= used


def test_nothing_may_run_or_load_but_the_files_of_this_server(server: Server) -> None:
    policy = directives(server.request("GET", "/", None, BROWSER))
    assert policy["default-src"] == "'none'"
    assert policy["require-trusted-types-for"] == "'script'"
    for name in ("script-src", "style-src", "img-src", "connect-src"):
        assert policy[name] == "'self'"
    for name in ("base-uri", "form-action", "frame-ancestors"):
        assert policy[name] == "'none'"


def test_our_own_scripts_never_make_markup_or_code_of_a_text() -> None:
    for path in (STATIC / "static").glob("*.js"):
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|"
            r"""setAttribute\(["']style|https?://""",
            path.read_text(),
        ), path.name


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("main.js", "text/javascript; charset=utf-8"),
        ("uPlot.esm.js", "text/javascript; charset=utf-8"),
        ("page.css", "text/css; charset=utf-8"),
    ],
)
def test_a_file_says_what_it_is(server: Server, name: str, kind: str) -> None:
    answer = server.request("GET", f"/web/{name}")
    assert (answer.status, answer.headers["content-type"]) == (200, kind)
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_browser_that_has_a_file_is_told_so_and_sent_nothing(server: Server) -> None:
    first = server.request("GET", "/web/page.css")
    assert first.headers["cache-control"] == "no-cache"
    known = {"if-none-match": f'"other", W/{first.headers["etag"]}'}
    again = server.request("GET", "/web/page.css", None, known)
    assert (again.status, again.body, again.headers["etag"]) == (304, b"", first.headers["etag"])
    changed = server.request("GET", "/web/page.css", None, {"if-none-match": '"other"'})
    assert (changed.status, changed.body) == (200, first.body)


@pytest.mark.parametrize(
    "name",
    [
        "page.html", "page.py", "LICENSE", "README.md", "nothing.js", "..", ".", "%2e%2e%2fpage.py",
        "..%2fpage.py", "..%5cpage.py", "static%2fmain.js", "vendor/uplot/LICENSE", "main.js%00",
        "Main.js", "main.js/",
    ],
)  # fmt: skip
def test_what_is_no_file_of_the_page_is_not_there(server: Server, name: str) -> None:
    answer = server.request("GET", f"/web/{name}")
    assert answer.status == 404
    assert answer.headers["content-type"] == "application/problem+json"


def test_the_shell_is_open_and_says_nothing_of_a_guarded_server(tmp_path: Path) -> None:
    guard: Knobs = {"server__tokens": ["a-token"], "agent__id": "our-agent"}
    with Server(tmp_path, **guard) as server:
        page = server.request("GET", "/", None, BROWSER)
        script = server.request("GET", "/web/main.js")
        assert server.request("GET", "/view").status == 401
    assert (page.status, script.status) == (200, 200)
    for told in (b"our-agent", b"tests.support.agents", b"queue</strong>"):
        assert told not in page.body


def test_where_the_page_is_off_a_browser_finds_where_to_read_on(tmp_path: Path) -> None:
    with Server(tmp_path, observability__page=False, store__url="memory:") as server:
        page = server.request("GET", "/", None, BROWSER)
        files = [server.request("GET", path).status for path in ("/web/main.js", "/view")]
    assert page.status == 200
    assert b"openapi.json" in page.body
    assert b"<script" not in page.body
    assert files == [404, 404]

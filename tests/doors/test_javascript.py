"""The JavaScript of docs/javascript.md, run by Chromium in a page from another origin."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support import browser
from tests.support.browser import Browser
from tests.support.proxy import CuttingProxy
from tests.support.server import ROOT, Knobs, Server

if browser.find() is None:
    pytest.skip(browser.INSTALL, allow_module_level=True)

DOCUMENT = (ROOT / "docs" / "javascript.md").read_text()
BLOCKS: list[str] = re.findall(r"^```js\n(.*?)^```$", DOCUMENT, re.DOTALL | re.MULTILINE)
FUNCTIONS = [block for block in BLOCKS if re.search(r"^(async )?function", block, re.MULTILINE)]
"""What a block defines serves those that come after it; the others are what a page does with it."""

PRINTED_SERVER = "http://127.0.0.1:8080"
PRINTED_TOKEN = 'token = ""'
BY_FILES = "tests.support.agents:by_files"
"""`a b` tells `a, `, and `b, ` when the test has made the file `a`; it ends with the file `b`."""


@pytest.fixture(scope="module")
def page() -> Iterator[Browser]:
    with Browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def origins(page: Browser) -> list[str]:
    return [page.origin]


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory, origins: list[str]) -> Iterator[Server]:
    """In each of its conversations one turn may wait."""
    folder = tmp_path_factory.mktemp("short")
    knobs: Knobs = {"server__cors_origins": origins, "strategy__max_waiting_per_conversation": 1}
    with Server(folder, **knobs) as running:
        yield running


def script(port: int, *blocks: str, token: str = "") -> str:
    """As printed, but for where the server is and its token."""
    printed = "".join(blocks)
    assert printed.count(PRINTED_SERVER) == printed.count(PRINTED_TOKEN) == 1
    here = printed.replace(PRINTED_SERVER, f"http://127.0.0.1:{port}")
    return here.replace(PRINTED_TOKEN, f"token = {json.dumps(token)}")


def with_functions(port: int, code: str, token: str = "") -> str:
    return script(port, *FUNCTIONS, code, token=token)


def following(message: str) -> str:
    """By `stream`: each event, and the text as it grows."""
    return f"""
        let text = "";
        for await (const {{ kind, id, data }} of stream({{ message: "{message}" }})) {{
          console.log(kind, id);
          if (kind === "started") text = "";
          if (kind === "delta") console.log((text += data.text));
          if (kind === "failed") console.log(data.type);
        }}
        console.log("in all:", text);
    """


def watching(message: str) -> str:
    """By `EventSource`: the text as it grows."""
    return f"""
        let text;
        const turnId = await askInBackground({{ message: "{message}" }});
        await watch(turnId, (now) => console.log((text = now)));
        console.log("in all:", text);
    """


BOTH_READERS = pytest.mark.parametrize("reading", [following, watching])
Reading = Callable[[str], str]


def test_every_block_runs_in_a_page_as_it_is_printed(
    tmp_path: Path, page: Browser, origins: list[str]
) -> None:
    with Server(
        tmp_path, target="tests.support.keepers:careful", server__cors_origins=origins
    ) as running:
        yes = "window.confirm = () => true;\n"
        said = page.run(script(running.port, yes, *BLOCKS))
        assert said[:3] == [
            "done: I am tired 1",
            "done: I am tired, And on?",
            "done: I am tired, And on?, I am still tired",
        ]
        assert said[3:7] == ["", "done: Think about it", "success", "answered done: Think about it"]
        assert said[7] in ("cancelled", "answered")
        assert said[8].startswith("done: delete old.txt")
        assert len(said) == 9
        assert running.calls()[-1] == "tool delete old.txt"


@pytest.fixture
def slow(tmp_path: Path, origins: list[str]) -> Iterator[Server]:
    knobs: Knobs = {"server__cors_origins": origins, "server__drain_s": 0.1}
    with Server(tmp_path, target=BY_FILES, **knobs) as running:
        yield running


@BOTH_READERS
def test_a_server_killed_in_mid_stream_costs_a_page_no_piece_and_repeats_none(
    slow: Server, page: Browser, reading: Reading
) -> None:
    reader = page.start(with_functions(slow.port, reading("a b")))
    slow.let_on("a")
    reader.until_said("a, b, ")
    slow.kill()
    slow.let_on("b")
    slow.start()
    assert reader.result()[-1] == "in all: a, b, "
    assert slow.calls() == ["began a b", "began a b", "ended a b"]
    assert [one["content"] for one in slow.history()] == ["a b", "a, b, "]


@BOTH_READERS
def test_a_server_that_is_updated_in_mid_stream_costs_a_page_nothing(
    slow: Server, page: Browser, reading: Reading
) -> None:
    reader = page.start(with_functions(slow.port, reading("a b")))
    reader.until_said("a, ")
    slow.stop()
    slow.let_on("a")
    slow.let_on("b")
    slow.start()
    assert reader.result()[-1] == "in all: a, b, "
    assert [one["content"] for one in slow.history()] == ["a b", "a, b, "]


@BOTH_READERS
def test_a_connection_cut_again_and_again_costs_a_page_no_piece_and_repeats_none(
    slow: Server, page: Browser, reading: Reading
) -> None:
    with CuttingProxy(slow.port) as proxy:
        reader = page.start(with_functions(proxy.port, reading("a b c")))
        for told, file in (("a, ", "a"), ("a, b, ", "b"), ("a, b, c, ", "c")):
            reader.until_said(told)
            proxy.cut()
            slow.let_on(file)
        said = reader.result()
    assert [line for line in said if line.endswith(", ")] == [
        "a, ", "a, b, ", "a, b, c, ", "in all: a, b, c, ",
    ]  # fmt: skip
    assert slow.calls() == ["began a b c", "ended a b c"]


def test_a_response_cut_in_its_headers_costs_an_event_source_nothing(
    slow: Server, page: Browser
) -> None:
    slow.let_on("a")
    turn_id = slow.ask("a")
    code = f'await watch("{turn_id}", (now) => console.log(now));'
    with CuttingProxy(slow.port, [100]) as proxy:  # There Chromium gives up for good.
        assert page.run(with_functions(proxy.port, code))[-1] == "a, "


def test_a_turn_that_is_cancelled_ends_its_stream(slow: Server, page: Browser) -> None:
    reader = page.start(with_functions(slow.port, following("a")))
    reader.until_said("a, ")
    turn_id = slow.turn_of("default")["turn_id"]
    cancelling = f'console.log((await cancel("{turn_id}")).state);'
    assert page.run(with_functions(slow.port, cancelling)) == ["cancelled"]
    assert "urn:turnline:problem:turn-cancelled" in reader.result()


def test_a_full_line_is_asked_again_until_there_is_room(short: Server, page: Browser) -> None:
    short.ask("until go", "full")
    short.until_called("until go")
    short.ask("in between", "full")
    code = """
        const fetched = window.fetch;
        window.fetch = async (...what) => {
          const response = await fetched(...what);
          console.log(response.status, response.headers.get("Turn-Outcome"));
          return response;
        };
        console.log((await ask({ message: "at last", conversation_id: "full" })).response);
        window.fetch = fetched;
    """
    asker = page.start(with_functions(short.port, code))
    asker.until_said("429 not_started")
    short.let_on("go")
    assert asker.result()[-2:] == ["200 null", '{"echo": "at last", "before": 4}']
    assert short.calls().count("began at last") == 1


def test_an_answer_that_was_lost_is_fetched_by_its_key_and_not_made_again(
    short: Server, page: Browser
) -> None:
    code = """
        const { response } = await ask({ message: "once", conversation_id: "lost" });
        console.log(response);
    """
    # The answer to the preflight fits into that, that of the turn besides does not.
    with CuttingProxy(short.port, [900, 900]) as proxy:
        assert page.run(with_functions(proxy.port, code)) == ['{"echo": "once", "before": 0}']
        assert proxy.connections > 1
    assert short.calls().count("began once") == 1


def test_the_words_of_a_refusal_can_be_read(short: Server, page: Browser) -> None:
    code = """
        try {
          await ask({ message: "hello", conversation: "c1" });
        } catch ({ message, status, outcome, pointer }) {
          console.log(status, outcome, pointer, message);
        }
    """
    (said,) = page.run(with_functions(short.port, code))
    assert said.startswith("422 not_started /conversation A field is missing or wrong: ")


def test_a_stream_sends_the_token_and_an_event_source_cannot(
    tmp_path: Path, page: Browser, origins: list[str]
) -> None:
    code = """
        let text = "";
        for await (const { data } of stream({ message: "hello" })) text += data.text ?? "";
        console.log(text);
        const source = new EventSource(server + "/turns/any/events");
        await new Promise((resume) => source.addEventListener("error", resume));
        console.log(source.readyState === EventSource.CLOSED);
    """
    with Server(tmp_path, server__cors_origins=origins, server__tokens=["ann:a-token"]) as running:
        said = page.run(with_functions(running.port, code, token="a-token"))
        assert said == ['{"echo": "hello", "before": 0}', "true"]


def test_a_page_whose_origin_is_not_allowed_reads_nothing(tmp_path: Path, page: Browser) -> None:
    code = """
        const found = await fetch(server + "/health").then(() => "read", (error) => error.name);
        console.log(found);
    """
    with Server(tmp_path, server__cors_origins=["http://other.example"]) as running:
        assert page.run(with_functions(running.port, code)) == ["TypeError"]

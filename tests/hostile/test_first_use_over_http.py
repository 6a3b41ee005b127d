"""The first hour of a new user (15 to 24 of what was found)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import client
from tests.support.client import Answer
from tests.support.events import Stream
from tests.support.server import Knobs, Server

# 23: a browser finds a page.

BROWSER = {"accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


def test_a_browser_is_shown_what_this_is_and_where_the_rest_is(shared: Server) -> None:
    page = shared.request("GET", "/", None, BROWSER)
    text = page.body.decode()
    assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    for told in ("Turnline", "tests.support.agents:echo", "async function", "queue"):
        assert told in text
    for path in re.findall('(?:href|src)="([^"#]+)"', text):
        assert shared.request("GET", f"/{path}").status == 200, path
    assert {"docs", "health", "openapi.json"} <= set(re.findall('href="([^"]+)"', text))


def test_the_page_loads_nothing_from_elsewhere(shared: Server) -> None:
    page = shared.request("GET", "/", None, BROWSER)
    assert page.headers["content-security-policy"].startswith("default-src 'none'")
    text = page.body.decode()
    assert not re.search(r"(src|href)=[\"'](https?:)?//|@import|url\(|<style|style=|<script>", text)


def test_a_program_is_given_the_same_as_json(shared: Server) -> None:
    for accept in ({}, {"accept": "*/*"}, {"accept": "application/json"}):
        answer = shared.request("GET", "/", None, accept)
        assert answer.headers["vary"] == "accept"
        assert (answer.json["strategy"], answer.json["docs"]) == ("queue", "/docs")


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_the_examples_of_a_page_have_the_address_where_its_reader_is(
    shared: Server, path: str
) -> None:
    host = {"host": f"localhost:{shared.port}"}
    text = shared.request("GET", path, None, BROWSER | host).body.decode()
    assert f"curl http://localhost:{shared.port}/chat" in text
    assert ":8080" not in text


def test_a_stranger_is_not_told_what_a_guarded_server_serves(folder: Path) -> None:
    target, token = "tests.support.agents:pieces", "a-token"
    options: Knobs = {
        "server__tokens": [token],
        "agent__id": "our-agent",
        "strategy__name": "merge",
    }
    with Server(folder, target=target, **options) as server:
        told = [server.request("GET", "/", None, BROWSER), server.request("GET", "/")]
        told += [server.request("GET", path) for path in ("/docs", "/openapi.json")]
        for answer in told:
            assert answer.status == 200
            for secret in (target, token, "our-agent", "merge"):
                assert secret not in answer.body.decode()
        assert "Authorization: Bearer $TOKEN" in told[0].body.decode()


def test_the_icon_that_every_browser_asks_for_is_there(shared: Server) -> None:
    icon = shared.request("GET", "/favicon.ico")
    assert (icon.status, icon.headers["content-type"]) == (200, "image/svg+xml")


# 24: what a client sends is honoured or refused, never passed over.


@pytest.mark.parametrize(
    ("name", "pointer", "hint"),
    [("files", "/files", 'The body takes "message" or "resume", and "conversation_id"'),
     ("user_id", "/user_id", 'There is no field "user_id".'),
     ("conversation", "/conversation", 'Did you mean "conversation_id"?'),
     ("mesage", "/mesage", 'Did you mean "message"?'),
     ("a/b~c", "/a~1b~0c", 'There is no field "a/b~c".')],
)  # fmt: skip
def test_an_unknown_field_is_refused_with_its_pointer_and_what_was_meant(
    shared: Server, name: str, pointer: str, hint: str
) -> None:
    answer = shared.request("POST", "/chat", {"message": "never", name: {"a": ["b"]}})
    check_refused(answer, pointer, hint)
    assert "began never" not in shared.calls()


def test_an_image_is_refused_by_an_agent_that_takes_text_only(shared: Server) -> None:
    parts = [{"type": "text", "text": "never"}, {"type": "image", "url": "https://a.example/b"}]
    answer = shared.request("POST", "/chat", {"message": parts})
    check_refused(answer, "/message/1/type", "takes no images")
    assert "began never" not in shared.calls()


@pytest.mark.parametrize(
    ("method", "path", "pointer", "hint"),
    [("GET", "/history?conversation=x", "?conversation", 'Did you mean "conversation_id"?'),
     ("GET", "/history?count=1&count=2", "?count", "stands twice"),
     ("GET", "/conversations?limit=5", "?limit", "takes count."),
     ("DELETE", "/conversations/x?dry_run=1", "?dry_run", "takes no parameters."),
     ("DELETE", "/turns/x?force=1", "?force", "takes no parameters."),
     ("POST", "/chat?conversation_id=x", "?conversation_id", "takes no parameters."),
     ("GET", "/turns/x?verbose", "?verbose", "takes no parameters.")],
)  # fmt: skip
def test_an_unknown_parameter_is_refused_and_does_not_show_another_conversation(
    shared: Server, method: str, path: str, pointer: str, hint: str
) -> None:
    content = {"message": "never"} if method == "POST" else None
    check_refused(shared.request(method, path, content), pointer, hint)
    assert "began never" not in shared.calls()


@pytest.mark.parametrize(
    "path",
    ["/", "/favicon.ico", "/health", "/health/live", "/health/ready", "/docs", "/openapi.json"],
)
def test_what_answers_everyone_the_same_takes_any_query(shared: Server, path: str) -> None:
    """Probes and browsers add some, and nothing depends on them."""
    assert shared.request("GET", f"{path}?utm_source=x").status == 200


# 24: streams, as an EventSource reads them.


def test_a_failed_stream_ends_with_an_event_that_a_browser_does_not_use_for_itself(
    shared: Server,
) -> None:
    with Stream(shared.port, "raise ValueError") as stream:
        events = stream.rest()
    assert events[-1].kind == "failed"
    assert events[-1].data["type"] == "urn:turnline:problem:agent-failed"
    assert "error" not in {event.kind for event in events}
    assert stream.retries == ["1000"]


@pytest.mark.parametrize("message", ["hello", "raise ValueError"])
def test_a_browser_that_has_seen_the_end_is_told_not_to_come_again(
    shared: Server, message: str
) -> None:
    with Stream(shared.port, message) as stream:
        events = stream.rest()
    turn = events[0].data["turn_id"]
    with Stream(shared.port, turn=turn, after=events[-1].id) as again:
        assert (again.status, again.response.read()) == (204, b"")
    with Stream(shared.port, turn=turn, after=events[-2].id) as again:
        assert [event.kind for event in again.rest()] == [events[-1].kind]


def test_of_two_last_event_ids_the_last_counts(shared: Server) -> None:
    """As of every header that is repeated."""
    with Stream(shared.port, "hello") as stream:
        events = stream.rest()
    head = f"GET /turns/{events[0].data['turn_id']}/events HTTP/1.1\r\nhost: localhost\r\n"
    ids = f"last-event-id: 1.0\r\nlast-event-id: \t{events[-1].id} \r\n\r\n"
    with client.send(shared.port, (head + ids).encode()) as connection:
        assert connection.recv(99).startswith(b"HTTP/1.1 204")


# What the tests of this file share.


@pytest.fixture(scope="module")
def shared(http: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("first-use")) as running:
        yield running


def check_refused(answer: Answer, pointer: str, hint: str) -> None:
    assert (answer.status, answer.cause) == (422, "wrong-field"), answer
    assert answer.json["pointer"] == pointer
    assert hint in answer.json["detail"]
    assert answer.json["outcome"] == "not_started"

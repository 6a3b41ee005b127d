"""The first hour of a new user (15 to 24 of what was found)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support import client
from tests.support.client import Answer
from tests.support.events import Stream
from tests.support.server import Server

# 24: what a client sends is honoured or refused, never passed over.


@pytest.mark.parametrize(
    ("name", "pointer", "hint"),
    [("files", "/files", 'The body takes "message" and "conversation_id".'),
     ("user_id", "/user_id", 'There is no field "user_id".'),
     ("conversation", "/conversation", 'Did you mean "conversation_id"?'),
     ("mesage", "/mesage", 'Did you mean "message"?'),
     ("a/b~c", "/a~1b~0c", 'There is no field "a/b~c".'),
     ("metadata", "/metadata", "takes no metadata"),
     ("resume", "/resume", "no requests open")],
)  # fmt: skip
def test_an_unknown_field_is_refused_with_its_pointer_and_what_was_meant(
    shared: Server, name: str, pointer: str, hint: str
) -> None:
    answer = shared.request("POST", "/chat", {"message": "never", name: {"a": ["b"]}})
    check_refused(answer, pointer, hint)
    assert "began never" not in shared.calls()


@pytest.mark.parametrize("part", [{"type": "text", "text": "a"}, {"type": "image", "url": "b"}])
def test_parts_of_a_message_are_refused_by_an_agent_that_takes_text_only(
    shared: Server, part: dict[str, str]
) -> None:
    answer = shared.request("POST", "/chat", {"message": [part]})
    check_refused(answer, "/message", "takes text only")


@pytest.mark.parametrize(
    ("method", "path", "pointer", "hint"),
    [("GET", "/history?conversation=x", "?conversation", 'Did you mean "conversation_id"?'),
     ("GET", "/history?count=1&count=2", "?count", "stands twice"),
     ("GET", "/conversations?limit=5", "?limit", "takes count."),
     ("DELETE", "/conversations/x?dry_run=1", "?dry_run", "takes no parameters."),
     ("DELETE", "/turns/x?force=1", "?force", "takes no parameters."),
     ("POST", "/chat?conversation_id=x", "?conversation_id", "takes no parameters."),
     ("GET", "/health?verbose", "?verbose", "takes no parameters.")],
)  # fmt: skip
def test_an_unknown_parameter_is_refused_and_does_not_show_another_conversation(
    shared: Server, method: str, path: str, pointer: str, hint: str
) -> None:
    content = {"message": "never"} if method == "POST" else None
    check_refused(shared.request(method, path, content), pointer, hint)
    assert "began never" not in shared.calls()


@pytest.mark.parametrize("path", ["/health/live", "/health/ready", "/docs", "/openapi.json"])
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
    head = f"GET /turns/{events[0].data['turn_id']}/events HTTP/1.1\r\nhost: test\r\n"
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

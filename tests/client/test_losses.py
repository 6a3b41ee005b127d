"""Connections that break, servers that die, refuse, or are none."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.client.conftest import Connect, Meanwhile, url_of
from tests.support.proxy import CuttingProxy
from tests.support.scripted import Scripted
from tests.support.server import Server
from turnline import (
    Client,
    OutcomeUnknown,
    Piece,
    Refused,
    Reply,
    Retrying,
    Started,
    TurnFailed,
    TurnlineError,
)

TELLER = "tests.support.agents:teller"
STRATEGIES = ["queue", "reject", "interrupt"]
each_strategy = pytest.mark.parametrize("strategy", STRATEGIES)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(
        tmp_path_factory.mktemp("losses"), target=TELLER, strategy__per_turn=STRATEGIES
    ) as running:
        yield running


def whole(count: int) -> str:
    return "".join(f"piece {number}, " for number in range(count))


@each_strategy
def test_a_stream_that_is_cut_goes_on_behind_its_last_piece(
    connect: Connect, server: Server, conversation: str, strategy: str
) -> None:
    with CuttingProxy(server.port, cuts=[100, 0, 400, 700]) as proxy:
        events = list(connect(proxy).stream("20 0.02", conversation, strategy=strategy))
        assert proxy.connections >= 4
    assert "".join(one.text for one in events if isinstance(one, Piece)) == whole(20)
    assert isinstance(events[-1], Reply)
    assert len([one for one in events if isinstance(one, Started)]) == 1
    assert sum(isinstance(one, Retrying) for one in events) >= 3
    assert len(server.history(conversation)) == 2


@each_strategy
def test_a_message_whose_answer_was_lost_finds_its_turn_by_its_key(
    connect: Connect, server: Server, conversation: str, strategy: str
) -> None:
    """Nothing came of the first answer, so that the client has the key alone."""
    with CuttingProxy(server.port, cuts=[0, 5]) as proxy:
        assert connect(proxy).ask("2 0", conversation, strategy=strategy).text == whole(2)
    assert len(server.history(conversation)) == 2


def test_a_background_message_whose_answer_was_lost_is_one_turn(
    connect: Connect, server: Server, conversation: str
) -> None:
    with CuttingProxy(server.port, cuts=[0, 5]) as proxy:
        client = connect(proxy)
        turn = client.background("2 0", conversation)
        assert client.wait(turn.id).number == 1
    assert len(server.history(conversation)) == 2


@each_strategy
def test_after_a_kill_in_mid_stream_the_turn_is_begun_again_and_is_one(
    connect: Connect, tmp_path: Path, strategy: str
) -> None:
    message = "5 0 hang-at-first"
    with Server(tmp_path, target=TELLER, strategy__name=strategy) as server:
        text, attempts = "", list[int]()
        for event in connect(server).stream(message, "c"):
            if isinstance(event, Started):
                attempts.append(event.attempt)
                text = ""
            if isinstance(event, Piece):
                text += event.text
                if text == whole(5) and attempts == [1]:
                    server.kill()
                    server.start()
        assert (text, attempts) == (whole(5), [1, 2])
        assert len(server.history("c")) == 2


def test_asking_outlasts_a_kill_and_a_restart(connect: Connect, tmp_path: Path) -> None:
    message = "5 0 hang-at-first"
    with Server(tmp_path, target=TELLER) as server:
        client = connect(server)
        asking = Meanwhile(lambda: client.ask(message))
        server.until_called(message)
        server.kill()
        server.start()
        reply = asking.result
        assert (reply.text, reply.attempt) == (whole(5), 2)
        assert len(server.history()) == 2


def test_a_server_that_is_not_there_yet_is_waited_for(connect: Connect, tmp_path: Path) -> None:
    with Server(tmp_path, target=TELLER) as server:
        server.kill()
        client = connect(server, retries=20)
        events = client.stream("1 0")
        assert isinstance(next(events), Retrying)
        server.start()
        assert isinstance(list(events)[-1], Reply)


def test_a_server_that_shuts_down_is_asked_again_once_it_is_back(
    connect: Connect, tmp_path: Path
) -> None:
    """The turn that waits is left for the next process, and one that comes is refused."""
    with Server(tmp_path, target=TELLER) as server:
        running = connect(server).background("1 0 until go")
        server.until_called("1 0 until go")
        waiting, late = connect(server, retries=20), connect(server, retries=20)
        asking = Meanwhile(lambda: waiting.ask("2 0"))
        server.until_depth(1)
        server.signal(signal.SIGTERM)
        events = late.stream("3 0")
        refused = next(event for event in events if isinstance(event, Retrying))
        assert isinstance(refused.reason, Refused)
        assert refused.reason.name == "draining"
        server.let_on("go")
        server.wait()
        server.start()
        assert asking.result.text == whole(2)
        last = list(events)[-1]
        assert isinstance(last, Reply)
        assert last.text == whole(3)
        assert connect(server).wait(running.id).number == 1
        assert len(server.history()) == 6


def test_a_full_line_is_tried_again_not_before_the_time(connect: Connect, tmp_path: Path) -> None:
    with Server(tmp_path, target=TELLER, strategy__max_waiting_per_conversation=0) as server:
        server.ask("1 0 until go")
        server.until_called("1 0 until go")
        for event in connect(server).stream("2 0"):
            if isinstance(event, Retrying):
                assert isinstance(event.reason, Refused)
                assert event.reason.status == 429
                assert event.reason.retry_after_s is not None
                assert event.after_s >= event.reason.retry_after_s
                server.let_on("go")
        assert len(server.history()) == 4


# What only a server says that answers as the test wants.


def test_a_refusal_is_sent_again_under_the_same_key(connect: Connect, scripted: Scripted) -> None:
    scripted.will_refuse(429, 0.01)
    scripted.will_refuse(503, 0.01, outcome="unknown")
    scripted.will_say("fine")
    assert connect(scripted).ask("hello").text == "fine"
    assert len({headers["idempotency-key"] for headers in scripted.headers}) == 1
    assert len(scripted.headers) == 3


@pytest.mark.parametrize(
    ("outcome", "error"),
    [("rolled_back", TurnFailed), ("not_started", Refused), ("unknown", OutcomeUnknown)],
)
def test_what_ran_is_not_sent_again_nor_what_no_time_helps(
    connect: Connect, scripted: Scripted, outcome: str, error: type[TurnlineError]
) -> None:
    """`rolled_back` not even with a time: the agent did run, and whatever it did is done."""
    scripted.will_refuse(503, 0.01 if outcome == "rolled_back" else None, outcome=outcome)
    with pytest.raises(error):
        connect(scripted).ask("hello")
    assert len(scripted.asked) == 1


def test_retries_have_an_end(connect: Connect, scripted: Scripted) -> None:
    for _ in range(3):
        scripted.will_refuse(429, 0.01)
    with pytest.raises(Refused):
        connect(scripted, retries=2).ask("hello")
    assert len(scripted.asked) == 3


def test_a_time_that_is_too_far_is_not_waited_for(connect: Connect, scripted: Scripted) -> None:
    scripted.will_refuse(429, 61.0)
    with pytest.raises(Refused) as told:
        connect(scripted).ask("hello")
    assert told.value.retry_after_s == 61.0
    scripted.will_refuse(429, 2.0)
    with pytest.raises(Refused):
        connect(scripted).ask("hello", deadline_s=1.0)


def test_the_deadline_of_another_try_is_what_is_left(connect: Connect, scripted: Scripted) -> None:
    scripted.will_refuse(429, 0.2)
    scripted.will_say("fine")
    connect(scripted).ask("hello", deadline_s=30)
    first, second = (int(headers["turn-deadline-ms"]) for headers in scripted.headers)
    assert second <= first - 200


def test_a_proxy_whose_server_restarts_is_tried_again(connect: Connect, scripted: Scripted) -> None:
    scripted.answers.append((502, {}, b"<html>"))
    scripted.will_say("fine")
    assert connect(scripted).ask("hello").text == "fine"


def test_a_turn_whose_outcome_was_unknown_is_asked_for_again(
    connect: Connect, scripted: Scripted
) -> None:
    """Behind the last piece that came; the message is not sent again."""
    problem = {"type": "urn:x:draining", "outcome": "unknown", "retry_after_s": 0.01}
    scripted.will_stream(("1.5", "delta", {"text": "Hello"}), ("1e", "failed", problem))
    scripted.will_stream(("1.7", "delta", {"text": " X"}), ("1e", "done", {"response": "Hello X"}))
    events = list(connect(scripted).stream("hello"))
    assert [one.text for one in events if isinstance(one, Piece | Reply)] == [
        "Hello",
        " X",
        "Hello X",
    ]
    assert scripted.asked[1][0] == "/turns/t1/events"
    assert scripted.headers[1]["last-event-id"] == "1.5"


def test_a_turn_that_waited_too_long_is_sent_again(connect: Connect, scripted: Scripted) -> None:
    problem = {"type": "urn:x:wait-expired", "outcome": "not_started", "retry_after_s": 0.01}
    scripted.will_stream(("0w1", "queued", {"turn_id": "t1"}), ("0e", "failed", problem))
    scripted.will_say("fine")
    assert connect(scripted).ask("hello").text == "fine"
    assert [asked[0] for asked in scripted.asked] == ["/chat", "/chat"]


def test_a_resumed_stream_that_is_refused_leaves_the_turn_unknown(
    connect: Connect, scripted: Scripted
) -> None:
    """The refusal is of the request; the turn has a name, and may have been answered."""
    scripted.will_stream(("1.5", "delta", {"text": "Hello"}))
    scripted.will_refuse(503, 0.01)
    scripted.will_refuse(401)
    with pytest.raises(OutcomeUnknown) as told:
        connect(scripted).ask("hello")
    assert told.value.status == 401
    assert [asked[0] for asked in scripted.asked] == ["/chat", *2 * ["/turns/t1/events"]]


def test_a_turn_that_the_server_has_forgotten_is_not_sent_again(
    connect: Connect, scripted: Scripted
) -> None:
    scripted.will_stream(("1.5", "delta", {"text": "Hello"}))
    scripted.will_refuse(404)
    with pytest.raises(OutcomeUnknown) as told:
        connect(scripted).ask("hello")
    assert (told.value.status, told.value.turn_id) == (404, "t1")


GARBAGE = [
    b"<html>",
    b"[]",
    b"{}",
    b'{"response": "x", "requests": [1]}',
    b'{"messages": [1]}',
    b'{"messages": 1}',
]


@pytest.mark.parametrize("body", GARBAGE)
def test_an_answer_that_is_not_turnlines_is_told_so(
    connect: Connect, scripted: Scripted, body: bytes
) -> None:
    client = connect(scripted)
    for ask in (client.ask, client.background, client.history):
        scripted.answers.append((200, {}, body))
        with pytest.raises(OutcomeUnknown) as told:
            ask("hello")
        assert told.value.title == "The answer is not what Turnline answers"


@pytest.mark.parametrize("data", ["1", '"x"', "{}", '{"text": 1}', "[" * 100_000])
def test_events_that_are_not_turnlines_are_told_so(
    connect: Connect, scripted: Scripted, data: str
) -> None:
    head = {"content-type": "text/event-stream", "location": "/turns/t1"}
    scripted.answers.append((200, head, f"event: delta\ndata: {data}\n\n".encode()))
    with pytest.raises(OutcomeUnknown) as told:
        connect(scripted).ask("hello")
    assert (told.value.turn_id, told.value.outcome) == ("t1", "unknown")


@pytest.mark.parametrize("status", [301, 404, 500])
def test_a_status_without_a_problem_document_is_told(
    connect: Connect, scripted: Scripted, status: int
) -> None:
    scripted.answers.append((status, {"location": "/x"}, b'{"outcome": [], "retry_after_s": "x"}'))
    with pytest.raises(TurnlineError) as told:
        connect(scripted).ask("hello")
    assert told.value.status == status


def test_events_and_fields_of_a_newer_server_are_passed_over(
    connect: Connect, scripted: Scripted
) -> None:
    scripted.will_stream(
        ("1.0", "started", {"turn_id": "t1", "attempt": 1, "new": 1}),
        ("1.1", "news", {"x": 1}),
        ("1e", "done", {"response": "fine", "new": 1}),
    )
    assert len(list(connect(scripted).stream("hello"))) == 2


def test_who_speaks_no_http_is_given_up_in_the_end(connect: Connect) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_babble, args=(listener,), daemon=True).start()
        client = connect(f"http://127.0.0.1:{listener.getsockname()[1]}", timeout_s=1.0)
        with pytest.raises(OutcomeUnknown) as told:
            client.ask("hello")
        assert (told.value.status, told.value.title) == (0, "The connection was lost")


def test_who_says_nothing_is_given_up_in_the_end(connect: Connect) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = connect(f"http://127.0.0.1:{listener.getsockname()[1]}", timeout_s=0.5)
        with pytest.raises(OutcomeUnknown):
            client.ask("hello")


def _babble(listener: socket.socket) -> None:
    while True:
        try:
            with listener.accept()[0] as connection:
                connection.recv(65536)
                connection.sendall(b"220 smtp.example ESMTP\r\n")
        except OSError:
            return


def test_where_nothing_answers_nothing_was_started(connect: Connect, scripted: Scripted) -> None:
    scripted.shutdown()
    scripted.server_close()
    client = connect(scripted, retries=1)
    for call in (lambda: client.ask("hello"), client.health):
        with pytest.raises(Refused) as told:
            call()
        assert (told.value.status, told.value.title) == (0, "Nothing answers")


@pytest.mark.parametrize("url", ["127.0.0.1:8080", "ftp://x", "http://", "http://x:0", "http://["])
def test_a_url_that_is_none_is_told_at_once(url: str) -> None:
    with pytest.raises(ValueError, match=r"http://127\.0\.0\.1:8080"):
        Client(url)


def test_a_proxy_of_the_environment_is_not_asked_for_this_machine(
    connect: Connect, scripted: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    scripted.will_say("fine")
    assert connect(url_of(scripted)).ask("hello").text == "fine"


def test_a_time_that_is_no_number_is_none(connect: Connect, scripted: Scripted) -> None:
    scripted.will_refuse(503, float("nan"))
    with pytest.raises(Refused) as told:
        connect(scripted).ask("hello")
    assert told.value.retry_after_s is None


def test_a_turn_that_only_its_events_name_is_resumed(connect: Connect, scripted: Scripted) -> None:
    started = {"turn_id": "t7", "attempt": 1}
    events = ("1s", "started", started), ("1.2", "delta", {"text": "he"})
    scripted.will_stream(*events)
    status, headers, body = scripted.answers.pop()
    del headers["location"]  # As a proxy might.
    scripted.answers.append((status, headers, body))
    scripted.will_stream(("1.4", "delta", {"text": "he"}), ("1e", "done", {"response": "hehe"}))
    assert connect(scripted).ask("hello").text == "hehe"
    assert scripted.asked[1][0] == "/turns/t7/events"
    assert scripted.headers[1]["last-event-id"] == "1.2"


def test_an_id_that_no_header_can_have_is_not_sent_back(
    connect: Connect, scripted: Scripted
) -> None:
    scripted.will_stream(("\u4e2d", "delta", {"text": "x"}))
    scripted.will_stream(("1e", "done", {"response": "x"}))
    assert connect(scripted).ask("hello").text == "x"
    assert "last-event-id" not in scripted.headers[1]


def test_a_stream_that_ends_and_names_no_turn_is_not_asked_for_without_end(
    connect: Connect, scripted: Scripted
) -> None:
    head = {"content-type": "text/event-stream"}
    for _ in range(40):
        scripted.answers.append((200, head, b'event: delta\ndata: {"text": "x"}\n\n'))
    with pytest.raises(OutcomeUnknown):
        connect(scripted, timeout_s=1.0).ask("hello")

"""Event streams: a turn as it happens, and from wherever a client left off."""

from __future__ import annotations

import random
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import client
from tests.support.events import Event, Stream, text_of
from tests.support.server import Server

TELLER = "tests.support.agents:teller"


@pytest.fixture(scope="module")
def server(http: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("streams")
    with Server(folder, target=TELLER, server__stream_comment_s=0.2) as running:
        yield running


def kinds(events: list[Event]) -> list[str]:
    """Without comments, and several deltas in a row as one."""
    found: list[str] = []
    for event in events:
        if event.kind and [event.kind] != found[-1:]:
            found.append(event.kind)
    return found


def test_a_turn_is_told_from_the_line_to_the_reply(server: Server) -> None:
    with Stream(server.port, "3 0.01", "whole") as stream:
        assert stream.headers["content-type"] == "text/event-stream"
        events = stream.rest()
    assert kinds(events) == ["queued", "started", "delta", "done"]
    done = events[-1].data
    assert text_of(events) == done["response"] == "piece 0, piece 1, piece 2, "
    assert done["turn"] == 1
    assert stream.headers["location"] == f"/turns/{done['turn_id']}"


def test_pieces_come_as_the_agent_yields_them(server: Server) -> None:
    with Stream(server.port, "1 0 hang", "pieces") as stream:
        assert stream.until("delta").data["text"] == "piece 0, "


def test_who_waits_is_told_whenever_its_place_changes(server: Server) -> None:
    with (
        Stream(server.port, "1 0 until one", "line") as first,
        Stream(server.port, "1 0 until two", "line") as second,
        Stream(server.port, "1 0", "line") as third,
    ):
        events = [third.until("queued")]
        server.let_on("one")
        events.append(third.until("position"))
        server.let_on("two")
        events += third.rest()
        places = [e.data["position"] for e in events if e.kind in ("queued", "position")]
        assert places == [2, 1]
        assert kinds(events) == ["queued", "position", "started", "delta", "done"]
        assert [e.kind for e in first.rest()][-1] == "done"
        assert [e.kind for e in second.rest()][-1] == "done"


def test_every_event_has_an_id_of_its_own(server: Server) -> None:
    with Stream(server.port, "5 0.01", "ids") as stream:
        ids = [event.id for event in stream if event.kind]
    assert len(set(ids)) == len(ids)
    assert all(ids)


def test_a_failed_turn_ends_with_its_problem_document(server: Server) -> None:
    with Stream(server.port, "1 0 raise ValueError", "failing") as stream:
        last = stream.rest()[-1]
    assert last.kind == "failed"
    assert (last.data["status"], last.data["outcome"]) == (502, "rolled_back")


def test_each_stream_says_once_what_a_browser_waits_before_it_reconnects(server: Server) -> None:
    """After the first one too: whoever resumes may be another client."""
    with Stream(server.port, "3 0.01", "retry") as stream:
        events = stream.rest()
    with Stream(server.port, turn=events[-1].data["turn_id"], after=events[-2].id) as again:
        assert [event.kind for event in again.rest()] == ["done"]
    assert stream.retries == again.retries == ["1000"]


def test_a_refused_turn_is_answered_with_its_status_and_no_stream(server: Server) -> None:
    with Stream(server.port, "1 0", turn_deadline_ms="0") as stream:
        assert stream.status == 503
        assert stream.headers["content-type"] == "application/problem+json"


def test_a_silent_stream_says_that_it_lives(server: Server) -> None:
    with Stream(server.port, "1 0.7", "silent") as stream:
        events = stream.rest()
    assert [event.kind for event in events].count("") >= 2


def test_an_agent_without_pieces_says_all_at_once(folder: Path) -> None:
    with Server(folder) as server, Stream(server.port, "hello") as stream:
        events = stream.rest()
    assert kinds(events) == ["queued", "started", "delta", "done"]
    assert text_of(events) == events[-1].data["response"]


def test_pieces_made_in_a_thread_come_in_order(folder: Path) -> None:
    with Server(folder, target="tests.support.agents:many_words") as server:
        words = " ".join(map(str, range(3_000)))
        with Stream(server.port, words) as stream:
            events = stream.rest()
    assert text_of(events) == events[-1].data["response"] == words.replace(" ", "")


# Coming back.


def test_a_stream_that_is_cut_anywhere_and_resumed_loses_and_repeats_nothing(
    server: Server,
) -> None:
    rng = random.Random(1)
    turn = server.request(
        "POST",
        "/chat",
        {"message": "150 0.004", "conversation_id": "cut"},
        {"prefer": "respond-async"},
    ).json["turn_id"]
    text, after, cuts, last = "", None, 0, ""
    while last != "done":
        with Stream(server.port, turn=turn, after=after) as stream:
            for event in stream:
                if event.kind == "delta":
                    text += event.data["text"]
                after, last = event.id or after, event.kind
                if rng.random() < 0.1:
                    cuts += 1
                    break
    assert cuts > 3
    assert text == "".join(f"piece {number}, " for number in range(150))
    with Stream(server.port, turn=turn, after=after) as stream:
        assert stream.status == 204  # Which tells a browser not to come again.


def test_any_number_may_read_the_same_turn(server: Server) -> None:
    turn = server.request(
        "POST", "/chat", {"message": "30 0.01", "conversation_id": "many"}, {"prefer": "wait=0"}
    ).json["turn_id"]
    texts: list[str] = []

    def read() -> None:
        with Stream(server.port, turn=turn) as stream:
            texts.append(text_of(stream.rest()))

    readers = [threading.Thread(target=read) for _ in range(5)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    assert len(texts) == 5
    assert set(texts) == {"".join(f"piece {number}, " for number in range(30))}


def test_an_ended_turn_is_told_again_for_a_while(server: Server) -> None:
    turn = server.chat("3 0", "later").json["turn_id"]
    with Stream(server.port, turn=turn) as stream:
        events = stream.rest()
    assert kinds(events) == ["queued", "started", "delta", "done"]
    assert text_of(events) == "piece 0, piece 1, piece 2, "


def test_an_id_that_is_none_of_ours_counts_as_nothing_seen(server: Server) -> None:
    turn = server.chat("2 0", "strange").json["turn_id"]
    for after in ("", "x", "1.x", "9" * 50, "1.99999999999999999", "\xe9"):
        with Stream(server.port, turn=turn, after=after) as stream:
            assert kinds(stream.rest()) == ["queued", "started", "delta", "done"]


def test_a_stream_can_only_be_read(server: Server) -> None:
    answer = server.request("DELETE", "/turns/x/events")
    assert (answer.status, answer.headers["allow"]) == (405, "GET")


def test_a_shutdown_ends_streams_with_what_became_of_their_turns(folder: Path) -> None:
    """I-17"""
    with Server(folder, target=TELLER, server__drain_s=0.3) as server:
        with Stream(server.port, "1 0 hang") as running, Stream(server.port, "1 0") as waiting:
            running.until("started")
            waiting.until("queued")
            server.signal(signal.SIGTERM)
            outcomes = [stream.rest()[-1].data["outcome"] for stream in (waiting, running)]
        assert outcomes == ["not_started", "rolled_back"]
        assert server.wait() == 0


def test_a_stream_of_no_known_turn_is_not_found(server: Server) -> None:
    with Stream(server.port, turn="nobody") as stream:
        assert stream.status == 404


# Those who leave, and those who do not read.


def test_a_waiting_turn_whose_stream_is_closed_gives_its_place_up(server: Server) -> None:
    with Stream(server.port, "1 0 until left", "leaving") as first:
        with Stream(server.port, "1 0 leaves", "leaving") as second:
            second.until("queued")
            server.until_depth(1)
        server.until_depth(0)
        server.let_on("left")
        first.until("done")
    assert "began 1 0 leaves" not in server.calls()


def test_a_running_turn_whose_stream_is_closed_goes_on_and_can_be_read(server: Server) -> None:
    with Stream(server.port, "5 0.05", "goes-on") as stream:
        turn = stream.until("started").data["turn_id"]
    with Stream(server.port, turn=turn) as again:
        assert again.rest()[-1].kind == "done"


def test_a_reader_that_stops_slows_neither_its_turn_nor_others_and_is_told(
    folder: Path,
) -> None:
    """It is sent in one piece what came meanwhile, and how many pieces those were."""
    (folder / "flood.py").write_text(
        "import asyncio\n"
        "async def agent(message, history):\n"
        "    for number in range(900):\n"
        "        await asyncio.sleep(0)\n"
        "        yield 'x' * 16000\n"  # More than the kernel's buffers hold.
    )
    with Server(folder, target="flood:agent", agent__max_reply_bytes=2**24) as server:
        with socket.socket() as slow:
            slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            slow.connect(("127.0.0.1", server.port))
            slow.sendall(client.chat("stop", "slow", accept="text/event-stream"))
            client.until(lambda: len(server.history("slow")) == 2, "it is answered")
            assert server.chat("next", "slow").status == 200
            tail, told, chunk = b"", False, b"x"
            slow.settimeout(20)
            while b"event: done" not in tail and chunk:
                chunk = slow.recv(65536)
                tail = tail[-20:] + chunk
                told = told or b'"pieces":' in tail
        assert told


@pytest.mark.slow
def test_no_limit_of_the_framework_cuts_a_long_stream(folder: Path) -> None:
    """Quart's RESPONSE_TIMEOUT is 60 s."""
    with (
        Server(folder, target=TELLER) as server,
        Stream(server.port, "2 33", limit_s=60) as stream,
    ):
        began = time.monotonic()
        assert stream.rest()[-1].kind == "done"
        assert time.monotonic() - began > 60

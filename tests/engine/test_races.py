"""Clients that leave, cancel and give deadlines while other processes fetch: I-5, I-8, I-10, I-16.

All tests share three processes; each has conversations of its own, and leaves nothing behind.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from tests.engine import findings
from tests.engine.cluster import Cluster
from tests.support.client import Answer, chat, reset, send, together, until
from tests.support.postgres import drop_schema, execute, new_schema

DELAYS_S = (0.0, 0.001, 0.01, 0.05)

Leave = Callable[[socket.socket], None]


def half_close(connection: socket.socket) -> None:
    connection.shutdown(socket.SHUT_WR)


def pause(delay_s: float) -> None:
    threading.Event().wait(delay_s)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    made = new_schema()
    yield made
    drop_schema(made)


@pytest.fixture(scope="module")
def shared(url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("races"), url, store__lease_s=10) as cluster:
        yield cluster


@pytest.fixture
def cluster(shared: Cluster, url: str) -> Iterator[Cluster]:
    """When the test is over nothing is left in the tables, and no process has failed in part."""
    yield shared
    findings.until_nothing_is_left(url)
    findings.check_counters(shared)
    for server in shared.servers:
        assert [line for line in server.logged if line.get("level") == "error"] == []


def in_line(url: str, conversation: str) -> int:
    sql = "SELECT count(*) FROM turnline_line WHERE conversation = %s"
    ((count,),) = execute(url, sql, (conversation,))
    return int(count)


@pytest.mark.parametrize("leave", [reset, half_close])
def test_a_turn_whose_client_left_amid_its_admission_is_never_run(
    cluster: Cluster, url: str, leave: Leave
) -> None:
    name = f"left-by-{leave.__name__}"
    holder = cluster[0].ask(f"until {name}", name)
    cluster.until_called(f"until {name}")
    left: list[socket.socket] = []
    for number in range(24):
        left.append(send(cluster[number % 3].port, chat(f"{name} {number}", name)))
        pause(DELAYS_S[number % 4])
        leave(left[-1])
    until(lambda: in_line(url, name) == 1, "all that left are out of the line")
    cluster.let_on(name)
    assert cluster[1].until_ended(holder)["turn"] == 1
    assert cluster[2].chat("after", name).json["turn"] == 2
    assert [call for call in cluster.calls() if call.startswith(f"began {name}")] == []
    for connection in left:
        connection.close()


def test_a_turn_that_is_cancelled_by_two_processes_while_a_third_starts_it_is_cancelled(
    cluster: Cluster,
) -> None:
    """Else it would run for ever: its agent waits for a file that never comes."""

    def ask_and_cancel(number: int) -> str:
        turn_id = cluster[number % 3].ask(f"until never-{number}", f"cancelled{number % 7}")
        pause((0.0, 0.005, 0.01, 0.02, 0.04)[number % 5])
        others = cluster[(number + 1) % 3], cluster[(number + 2) % 3]
        answers = together([lambda one=one: one.cancel(turn_id) for one in others])  # type: ignore[misc]
        assert {answer.status for answer in answers} == {200}, answers
        return turn_id

    turns = [ask_and_cancel(number) for number in range(60)]
    for server in cluster.servers:
        assert {server.until_ended(turn_id)["state"] for turn_id in turns} == {"cancelled"}


def test_a_deadline_that_passes_while_a_turn_is_fetched_ends_it_once(cluster: Cluster) -> None:
    def ask(number: int) -> Answer:
        deadline_ms = str(1 + number * 2)
        message, conversation = f"sleep 0.05 d{number}", f"deadline{number % 10}"
        return cluster[number % 3].chat(message, conversation, turn_deadline_ms=deadline_ms)

    answers = together([lambda number=number: ask(number) for number in range(60)])  # type: ignore[misc]
    began = {call.split()[3] for call in cluster.calls() if call.startswith("began sleep 0.05 d")}
    for number, answer in enumerate(answers):
        assert answer.status in (200, 503, 504), answer
        if answer.status != 200 and answer.json["outcome"] == "not_started":
            assert f"d{number}" not in began
    for conversation in range(10):
        numbers = [a.json["turn"] for a in answers[conversation::10] if a.status == 200]
        history = cluster[0].history(f"deadline{conversation}")
        assert sorted(numbers) == [*range(1, len(history) // 2 + 1)]


@pytest.mark.parametrize("wait_s", [0, 1])
def test_a_turn_that_outlasts_the_patience_at_one_process_is_polled_at_another(
    cluster: Cluster, wait_s: int
) -> None:
    name = f"patience{wait_s}"
    answer = cluster[0].chat(f"until {name}", name, prefer=f"wait={wait_s}")
    assert answer.status == 202
    location = answer.headers["location"]
    assert cluster[1].request("GET", location).json["state"] in ("waiting", "running")
    cluster.let_on(name)
    turn_id = location.rpartition("/")[2]
    replies = {server.until_ended(turn_id)["response"] for server in cluster.servers}
    assert len(replies) == 1


HOSTILE = (
    "\x00", "a\x00b", "\ud800", "'; DROP TABLE turnline_line; --", "%s %(x)s {}", "\\x00", "\u202e",
    "\U0001f600" * 1000, "\\", "$$", "\r\n\r\ndata: x\n\n", "x" * 200_000,
)  # fmt: skip


def test_hostile_messages_reach_the_other_processes_as_they_were(cluster: Cluster) -> None:
    """Through the tables, and through NOTIFY where a stream is heard elsewhere."""
    kept: list[str] = []
    for number, message in enumerate(HOSTILE):
        answer = cluster[number % 3].chat(message, "hostile:._-A", idempotency_key=f"k{number}")
        assert answer.status in (200, 422), answer
        if answer.status == 200:
            kept.append(message)
    assert len(kept) >= len(HOSTILE) - 3
    for server in cluster.servers:
        assert [said["content"] for said in server.history("hostile:._-A")[::2]] == kept

"""Postgres is restarted, killed, and away for long, under several processes: I-3, I-8, I-23."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from tests.engine import findings
from tests.engine.cluster import Cluster, attempt_of
from tests.engine.crowd import Crowd
from tests.support.client import until
from tests.support.events import Stream
from tests.support.postgres import PostgresServer, new_server
from tests.support.server import Server

LEASE_S = 4


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    """A server that the tests of this module stop; in the end it serves."""
    server = new_server()
    yield server
    server.end()


@pytest.fixture(scope="module")
def cluster(
    postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("away")
    with Cluster(folder, postgres.url(), store__lease_s=LEASE_S) as one:
        yield one


def pause(delay_s: float) -> None:
    threading.Event().wait(delay_s)


def stop_fast(postgres: PostgresServer) -> None:
    postgres.stop("fast")


def stop_at_once(postgres: PostgresServer) -> None:
    postgres.stop("immediate")


def kill(postgres: PostgresServer) -> None:
    postgres.kill()


def runs_elsewhere(cluster: Cluster, name: str) -> tuple[str, Server, Server]:
    """A turn that runs until the file `name` is there; its process, and one of the others."""
    turn_id = cluster[0].ask(f"until {name}", name)
    runs = cluster.until_called(f"until {name}")
    return turn_id, runs, cluster.others(runs)[0]


def until_ready(cluster: Cluster, status: int) -> None:
    for server in cluster.servers:
        ready = lambda one=server: one.request("GET", "/health/ready").status  # noqa: E731
        until(lambda ready=ready: ready() == status, f"readiness is {status}")  # type: ignore[misc]


def restart(cluster: Cluster, postgres: PostgresServer) -> None:
    postgres.stop("fast")
    postgres.start()
    until_ready(cluster, 200)  # As it may have been said before anybody noticed.

    def all_read() -> bool:
        answers = [server.request("GET", "/conversations") for server in cluster.servers]
        return all(answer.status == 200 for answer in answers)

    until(all_read, "each process reads again")


def test_turns_wait_while_postgres_is_away_for_longer_than_the_lease_and_run_once(
    cluster: Cluster, postgres: PostgresServer
) -> None:
    """No process has lost its turns by that: none could say that it lives."""
    turns = [runs_elsewhere(cluster, f"long{number}")[0] for number in range(4)]
    waits = [cluster[number % 3].ask("say", f"long{number}") for number in range(4)]
    postgres.stop("fast")
    until_ready(cluster, 503)
    pause(1.5 * LEASE_S)
    postgres.start()
    until_ready(cluster, 200)
    for number in range(4):
        cluster.let_on(f"long{number}")
    for number in range(4):
        first, second = (cluster[0].until_ended(one[number]) for one in (turns, waits))
        assert (first["turn"], second["turn"]) == (1, 2)
        assert attempt_of(first["response"]) == 1
        assert attempt_of(second["response"]) == 1


def test_a_cancellation_is_not_lost_with_the_connection_that_was_to_carry_it(
    cluster: Cluster, postgres: PostgresServer
) -> None:
    turn_id, _, other = runs_elsewhere(cluster, "never")
    restart(cluster, postgres)
    other.cancel(turn_id)
    assert other.until_ended(turn_id)["state"] == "cancelled"


def test_a_stream_hears_of_a_turn_elsewhere_after_a_restart(
    cluster: Cluster, postgres: PostgresServer
) -> None:
    turn_id, runs, other = runs_elsewhere(cluster, "heard")
    restart(cluster, postgres)
    with Stream(other.port, turn=turn_id) as stream:
        assert str(runs.process.pid) in stream.until("delta").data["text"]
        cluster.let_on("heard")
        assert stream.rest()[-1].kind == "done"


def test_turns_are_handed_over_at_once_after_a_restart(
    cluster: Cluster, postgres: PostgresServer
) -> None:
    """By LISTEN: with a look each second, so many would take longer than a client's patience."""
    restart(cluster, postgres)
    turns = [cluster[number % 3].ask("say", "handed") for number in range(100)]
    assert cluster[0].until_ended(turns[-1])["turn"] == 100


@pytest.mark.parametrize("end", [stop_fast, stop_at_once, kill])
def test_nothing_is_lost_or_doubled_when_postgres_ends_under_load(
    postgres: PostgresServer, cluster: Cluster, end: Callable[[PostgresServer], None]
) -> None:
    conversations = [f"{end.__name__}{number}" for number in range(4)]
    crowd = Crowd(cluster.servers, conversations, each=2, words=("sleep 0.01", "say"))
    for _ in range(2):
        enough = len(crowd.told) + 40
        until(lambda enough=enough: len(crowd.told) >= enough, "turns are answered")  # type: ignore[misc]
        end(postgres)
        postgres.start_again()
    enough = len(crowd.told) + 40
    until(lambda: len(crowd.told) >= enough, "turns are answered")
    crowd.finish()
    findings.check_turns(cluster[0], crowd)
    findings.check_messages(cluster[0], crowd)
    findings.until_nothing_is_left(postgres.url())
    findings.check_counters(cluster)

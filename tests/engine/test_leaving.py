"""Processes that leave while others go on: SIGTERM under load, twice, and one that is frozen."""

from __future__ import annotations

import signal
import threading
from concurrent.futures import ThreadPoolExecutor

from tests.engine import findings
from tests.engine.cluster import Cluster, attempt_of
from tests.support.client import LIMIT_S, Answer, until
from tests.support.postgres import execute
from tests.support.server import Server

HELD = """
    SELECT count(*) FROM pg_locks AS l JOIN pg_stat_activity AS a USING (pid)
    WHERE l.locktype = 'advisory' AND l.granted AND a.state LIKE 'idle in transaction%'
"""


def test_of_50_clients_that_wait_at_a_process_that_shuts_down_each_is_told_what_is_true(
    cluster: Cluster, url: str
) -> None:
    """I-17. Those of promised turns may leave too: their turns run elsewhere."""
    leaving = cluster[0]
    held = [cluster[1].ask("until shut", f"held{number}") for number in range(5)]
    for turn_id in held:
        until(lambda one=turn_id: cluster[1].turn(one)["state"] == "running", "it runs")  # type: ignore[misc]

    def ask(number: int) -> Answer:
        headers = {"idempotency_key": f"key {number}"} if number % 2 else {}
        return leaving.chat(f"say {number}", f"held{number % 5}", **headers)

    with ThreadPoolExecutor(50) as pool:
        waiting = [pool.submit(ask, number) for number in range(50)]
        promised = [leaving.ask(f"promised {number}", f"held{number}") for number in range(5)]
        leaving.until_depth(55)
        leaving.signal(signal.SIGTERM)
        until(lambda: all(one.done() for one in waiting[::2]), "who has no key is told")
        cluster.let_on("shut")
        answers = [one.result() for one in waiting]
        assert leaving.wait() == 0
    for answer in answers:
        assert answer.status in (200, 503), answer
        if answer.status == 503:
            assert answer.json["outcome"] in ("not_started", "unknown"), answer
    for turn_id in promised:
        assert cluster[2].until_ended(turn_id)["state"] == "answered"
    findings.until_nothing_is_left(url)
    began = [call.split(" in ")[0] for call in cluster.calls() if call.startswith("began say")]
    assert len(began) == len({*began})
    for number, answer in enumerate(answers):
        is_told = answer.status == 503 and answer.json["outcome"] == "not_started"
        assert not (is_told and f"began say {number}" in began), answer


def test_a_second_sigterm_ends_a_process_whose_turns_then_run_elsewhere_in_their_order(
    cluster: Cluster, url: str
) -> None:
    """As after a restart where there is one process: the running one again, and first."""
    held = cluster[1].ask("until twice", "c")
    runs = cluster.until_called("until twice")
    waits = runs.ask("say", "c")
    runs.signal(signal.SIGTERM)
    until(lambda: runs.request("GET", "/health/ready").status == 503, "it drains")
    runs.signal(signal.SIGTERM)
    runs.wait()
    cluster.let_on("twice")
    other = cluster.others(runs)[0]
    assert attempt_of(other.until_ended(held)["response"]) == 2
    assert [other.until_ended(one)["turn"] for one in (held, waits)] == [1, 2]
    findings.until_nothing_is_left(url)


def test_a_process_that_is_frozen_amid_an_admission_holds_up_no_other(
    cluster: Cluster, url: str
) -> None:
    frozen, other = cluster[0], cluster[1]
    done = threading.Event()

    def ask_for_ever(number: int) -> None:
        while not done.is_set():
            frozen.chat("say", f"busy{number}", prefer="respond-async")

    with ThreadPoolExecutor(4) as pool:
        for number in range(4):
            pool.submit(ask_for_ever, number)
        until(lambda: _is_frozen_amid_admission(frozen, url), "it is frozen", 2 * LIMIT_S)
        done.set()
        answer = other.chat("say", "free")
        frozen.signal(signal.SIGCONT)
    assert answer.status == 200, answer
    until(lambda: frozen.chat("say", "free").status == 200, "it serves again")
    findings.until_nothing_is_left(url)


def _is_frozen_amid_admission(server: Server, url: str) -> bool:
    """Stop it; where that was at another instant, let it go on."""
    server.signal(signal.SIGSTOP)
    execute(url, HELD)  # What it had sent may be on its way still.
    is_held = execute(url, HELD) != [(0,)]
    if not is_held:
        server.signal(signal.SIGCONT)
    return is_held

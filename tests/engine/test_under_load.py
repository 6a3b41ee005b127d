"""Many turns over several processes, and processes that are killed meanwhile: I-1 to I-9, I-18."""

from __future__ import annotations

import random
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from tests.engine import findings
from tests.engine.cluster import Cluster
from tests.engine.crowd import Crowd
from tests.support.client import until
from tests.support.server import Server

CHAINED = "tests.support.agents:chained"

TURNS, KILLS = 2_000, 50


def test_2000_turns_over_four_processes_are_each_answered_once_and_in_order(
    tmp_path: Path, url: str
) -> None:
    conversations = [f"c{number}" for number in range(20)]
    with Cluster(tmp_path, url, count=4, target=CHAINED) as cluster:
        crowd = Crowd(cluster.servers, conversations, each=2, messages=TURNS // 40)
        crowd.wait()
        assert len(crowd.told) == TURNS
        assert crowd.asked_again == []
        findings.check_messages(cluster[0], crowd)
        findings.check_chains(cluster[0], crowd)
        findings.check_attempts(cluster[0])
        findings.until_nothing_is_left(url)
        total = findings.check_counters(cluster)
        assert total == {"accepted": TURNS, "answered": TURNS}


def test_each_key_has_one_outcome_though_processes_are_killed_50_times(
    tmp_path: Path, url: str
) -> None:
    """I-18 and I-19: clients ask again, under the same key, whom they like."""
    conversations = [f"c{number}" for number in range(6)]
    words = ("sleep 0", "sleep 0.01", "sleep 0.1")
    prefer = ("x", "x", "wait=1", "respond-async")
    with Cluster(tmp_path, url, count=4, target=CHAINED, store__max_attempts=100) as cluster:
        crowd = Crowd(cluster.servers, conversations, each=2, words=words, prefer=prefer)
        kill_by_turns(cluster.servers, KILLS)
        crowd.finish()
        assert len(crowd.asked_again) >= KILLS
        findings.check_turns(cluster[0], crowd)
        findings.check_messages(cluster[0], crowd)
        findings.check_chains(cluster[0], crowd)
        findings.check_attempts(cluster[0])
        findings.until_nothing_is_left(url)
        findings.check_counters(cluster)


def kill_by_turns(servers: list[Server], times: int) -> None:
    """Kill one of those that serve, again and again; it is started again at once."""
    chance = random.Random(times)
    with ThreadPoolExecutor(len(servers)) as pool:
        starting: dict[Server, Future[Server]] = {}
        for _ in range(times):
            pause(chance.random() * 0.4)
            until(lambda: any(is_up(one, starting) for one in servers), "one serves")
            one = chance.choice([one for one in servers if is_up(one, starting)])
            one.kill()
            starting[one] = pool.submit(one.start)
        for started in starting.values():
            started.result()


def is_up(server: Server, starting: dict[Server, Future[Server]]) -> bool:
    return server not in starting or starting[server].done()


def pause(delay_s: float) -> None:
    threading.Event().wait(delay_s)

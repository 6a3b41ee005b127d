"""What must be found when all is over: in histories, in tables and in counters."""

from __future__ import annotations

from collections import Counter

from loadtests.measures.chains import check_chain
from tests.engine.cluster import Cluster
from tests.engine.crowd import Crowd, faults_of_order
from tests.support.client import until
from tests.support.postgres import execute
from tests.support.server import Server

LEFT = "SELECT (SELECT count(*) FROM turnline_line) + (SELECT count(*) FROM procrastinate_jobs)"


def check_chains(server: Server, crowd: Crowd) -> None:
    """Of the agent `chained`."""
    for conversation in crowd.conversations:
        assert check_chain(server.history(conversation)) == []


def check_messages(server: Server, crowd: Crowd) -> None:
    """Each is there once, in the order in which clients saw the replies; what failed is not."""
    for conversation in crowd.conversations:
        history, told = server.history(conversation), crowd.of(conversation)
        asked = Counter(message["content"] for message in history[::2])
        assert asked == Counter(one.message for one in told), conversation
        for one in told:
            if one.number is not None:
                assert history[2 * one.number - 2]["content"] == one.message
                assert history[2 * one.number - 1]["content"] == one.reply
        assert [*faults_of_order(told)] == []


def check_turns(server: Server, crowd: Crowd) -> None:
    """Each key was one turn, and each turn has one outcome."""
    assert len({one.turn_id for one in crowd.told}) == len(crowd.told)
    for one in crowd.told:
        turn = server.until_ended(one.turn_id)
        assert turn["state"] == "answered", turn
        assert one.number in (None, turn["turn"])
    for answer in crowd.failed.values():
        turn = server.until_ended(answer.json["turn_id"])
        assert turn["state"] == "failed", turn


def check_attempts(server: Server) -> None:
    """Each call of an agent was another attempt."""
    began = Counter(server.calls())
    assert [call for call, times in began.items() if times > 1] == []


def check_counters(cluster: Cluster) -> Counter[str]:
    """I-9, in each process; what all have counted together."""
    total: Counter[str] = Counter()
    for server in cluster.servers:
        server.until_quiet()
        health = server.health()
        turns = Counter[str](health["turns"])
        del turns["refused_at_once"]
        assert turns.total() == 2 * turns["accepted"], health
        total += turns
    return total


def until_nothing_is_left(url: str) -> None:
    """Of turns that have ended: no place in the line, and no job."""
    until(lambda: execute(url, LEFT) == [(0,)], "the line is empty")

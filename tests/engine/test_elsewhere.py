"""A turn that one process has accepted and another runs: polled, streamed, cancelled, repeated."""

from __future__ import annotations

import json
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.engine.cluster import AGENT, Cluster, attempt_of, process_of
from tests.support.client import until
from tests.support.events import Stream, text_of
from tests.support.postgres import execute
from tests.support.server import Server


def accepted_elsewhere(
    cluster: Cluster, message: str, conversation: str = "c"
) -> tuple[Server, Server, str]:
    """The process that accepted a background turn, another that runs it, and its id."""
    for number in range(60):
        named = f"{message}-{number}"
        turn_id = cluster[0].ask(named, f"{conversation}{number}")
        runs = cluster.until_called(named)
        if runs is not cluster[0]:
            return cluster[0], runs, turn_id
        cluster.let_on(named.partition(" ")[2])
        cluster[0].until_ended(turn_id)
    raise AssertionError("no other process has run any of 60 turns")


def until_state(server: Server, turn_id: str, state: str) -> None:
    until(lambda: server.turn(turn_id)["state"] == state, f"{turn_id} is {state}")


def until_place(server: Server, turn_id: str, place: int) -> None:
    until(lambda: server.turn(turn_id)["position"] == place, f"{turn_id} has place {place}")


def test_a_turn_is_seen_by_each_process_while_it_runs_and_when_it_has_ended(
    cluster: Cluster,
) -> None:
    _, _, turn_id = accepted_elsewhere(cluster, "until seen")
    for server in cluster.servers:
        until_state(server, turn_id, "running")
    for name in [call.split()[2] for call in cluster.calls() if call.startswith("began until")]:
        cluster.let_on(name)
    replies = {server.until_ended(turn_id)["response"] for server in cluster.servers}
    assert len(replies) == 1


def test_a_stream_tells_each_piece_of_a_turn_that_runs_elsewhere_before_its_end(
    cluster: Cluster,
) -> None:
    _, runs, turn_id = accepted_elsewhere(cluster, "until piece")
    for server in cluster.servers:
        with Stream(server.port, turn=turn_id) as stream:
            assert str(runs.process.pid) in stream.until("delta").data["text"]


def test_a_stream_goes_on_at_a_third_process_when_the_second_is_gone(cluster: Cluster) -> None:
    accepted, runs, turn_id = accepted_elsewhere(cluster, "until third")
    with Stream(accepted.port, turn=turn_id) as stream:
        first = stream.until("delta")
    accepted.kill()
    (third,) = cluster.others(accepted, runs)
    with Stream(third.port, turn=turn_id, after=first.id) as stream:
        for call in cluster.calls():
            cluster.let_on(call.split()[2])
        rest = stream.rest()
    assert text_of(rest) == " done"
    assert rest[-1].kind == "done"


def test_a_turn_that_runs_elsewhere_is_cancelled(cluster: Cluster) -> None:
    accepted, runs, turn_id = accepted_elsewhere(cluster, "until cancel")
    (third,) = cluster.others(accepted, runs)
    assert third.cancel(turn_id).status == 200
    for server in cluster.servers:
        assert server.until_ended(turn_id)["state"] == "cancelled"


def test_a_turn_that_waits_is_cancelled_from_another_process(cluster: Cluster) -> None:
    cluster[0].ask("until on", "c")
    cluster.until_called("until on")
    waits = cluster[0].ask("never", "c")
    assert cluster[2].cancel(waits).status == 200
    assert cluster[0].until_ended(waits)["state"] == "cancelled"
    cluster.let_on("on")
    assert cluster[1].chat("after", "c").status == 200
    assert not [call for call in cluster.calls() if "never" in call]


def test_a_key_is_one_turn_in_all_processes(cluster: Cluster) -> None:
    def ask(server: Server) -> str:
        answer = server.chat("until key", "c", idempotency_key="k")
        assert answer.status == 200, answer
        return str(answer.json["turn_id"])

    with ThreadPoolExecutor() as pool:
        asked = [pool.submit(ask, server) for server in cluster.servers * 3]
        cluster.until_called("until key")
        cluster.let_on("key")
        assert len({one.result() for one in asked}) == 1
    assert len([call for call in cluster.calls() if call.startswith("began")]) == 1
    reused = cluster[1].chat("another", "c", idempotency_key="k")
    assert reused.status == 422


def test_the_line_of_a_conversation_is_one_over_all_processes(cluster: Cluster) -> None:
    cluster[0].ask("until line", "c")
    cluster.until_called("until line")
    waiting = [cluster[number % 3].ask(f"turn {number}", "c") for number in range(6)]
    for place, turn_id in enumerate(waiting, 1):
        for server in cluster.servers:
            until_place(server, turn_id, place)
    cluster.let_on("line")
    numbers = [cluster[0].until_ended(turn_id)["turn"] for turn_id in waiting]
    assert numbers == [2, 3, 4, 5, 6, 7]


def test_a_conversation_is_not_forgotten_while_it_is_busy_elsewhere(cluster: Cluster) -> None:
    cluster[0].ask("until busy", "c")
    runs = cluster.until_called("until busy")
    for server in cluster.servers:
        assert server.request("DELETE", "/conversations/c").status == 409
    cluster.let_on("busy")
    until(lambda: runs.history("c") != [], "the turn is kept")
    until(lambda: cluster[1].request("DELETE", "/conversations/c").status == 204, "it is free")
    assert cluster[2].history("c") == []


def test_who_accepted_a_turn_logs_what_it_came_to_elsewhere(cluster: Cluster) -> None:
    accepted, _, turn_id = accepted_elsewhere(cluster, "until logged")
    for call in cluster.calls():
        cluster.let_on(call.split()[2])
    accepted.until_ended(turn_id)

    def outcomes() -> list[str]:
        lines = map(json.loads, accepted.log.splitlines())
        return [line["outcome"] for line in lines if line.get("turn_id") == turn_id]

    until(lambda: outcomes() == ["answered"], "the log has it")


# Processes that die, and that are taken for dead.


def test_a_turn_of_a_process_that_was_killed_runs_again_in_another(cluster: Cluster) -> None:
    _, runs, turn_id = accepted_elsewhere(cluster, "until killed")
    runs.kill()
    for call in cluster.calls():
        cluster.let_on(call.split()[2])
    ended = cluster[0].until_ended(turn_id)
    assert ended["state"] == "answered"
    assert attempt_of(ended["response"]) == 2


def test_a_turn_waits_at_a_process_though_the_one_that_ran_it_was_killed(cluster: Cluster) -> None:
    with ThreadPoolExecutor() as pool:
        for number in range(60):
            message = f"until gone-{number}"
            asked = pool.submit(cluster[0].chat, message, f"g{number}")
            runs = cluster.until_called(message)
            if runs is not cluster[0]:
                break
            cluster.let_on(f"gone-{number}")
        runs.kill()
        cluster.let_on(f"gone-{number}")
        answer = asked.result()
    assert answer.status == 200, answer
    assert attempt_of(answer.json["response"]) == 2


def test_the_late_reply_of_a_process_that_was_silent_for_too_long_is_refused(
    cluster: Cluster,
) -> None:
    _, frozen, turn_id = accepted_elsewhere(cluster, "until frozen")
    message = next(call for call in cluster.calls() if f"in {frozen.process.pid}" in call)
    name = message.split()[2]
    frozen.signal(signal.SIGSTOP)
    again = cluster.until_called(f"until {name}", times=2)
    assert again is not frozen
    frozen.signal(signal.SIGCONT)
    cluster.let_on(name)
    replies = [server.until_ended(turn_id) for server in cluster.servers]
    assert {process_of(reply["response"]) for reply in replies} == {again.process.pid}
    conversation = replies[0]["conversation_id"]
    until(
        lambda: len([c for c in cluster.calls() if c.startswith(f"ended until {name}")]) == 2,
        "both agents end",
    )
    assert len(cluster[0].history(conversation)) == 2
    assert frozen.chat("after", conversation).json["turn"] == 2


def test_what_was_promised_runs_in_another_process_when_its_own_shuts_down(
    cluster: Cluster,
) -> None:
    cluster[1].ask("until drained", "c")
    runs = cluster.until_called("until drained")
    leaving = next(server for server in cluster.servers if server is not runs)
    waits = leaving.ask("later", "c")
    assert leaving.stop() == 0
    cluster.let_on("drained")
    assert runs.until_ended(waits)["state"] == "answered"


def test_a_process_is_judged_by_its_own_lease(tmp_path: Path, url: str) -> None:
    """As while a change of `lease_s` is rolled out: the short one beats often, and looks often."""
    silent = """
        SELECT max(seen_at) - min(seen_at) > interval '3 seconds' AND count(*) = 2
        FROM turnline_processes
    """
    with Server(tmp_path, target=AGENT, store__url=url, store__lease_s=60) as patient:
        turn_id = patient.ask("until judged", "c")
        until(lambda: bool(patient.calls()), "the agent is called")
        with Server(tmp_path, target=AGENT, store__url=url, store__lease_s=1):
            until(lambda: execute(url, silent) == [(True,)], "three of the short leases are over")
            patient.let_on("judged")
            ended = patient.until_ended(turn_id)
    assert attempt_of(ended["response"]) == 1

"""Thousands of clients that wait: I-22."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.client import Answer, chat, receive, reset, send, together, until
from tests.support.server import Knobs, Server

MANY = 5_000


@pytest.mark.parametrize("strategy", ["queue", "lock"])
def test_5000_waiting_clients_weigh_little_and_leave_nothing(folder: Path, strategy: str) -> None:
    bounds = {"max_waiting": MANY, "max_waiting_per_conversation": MANY, "max_wait_s": 600}
    knobs: Knobs = {f"strategy__{name}": value for name, value in bounds.items()}
    with Server(folder, strategy__name=strategy, store__url="memory:", **knobs) as server:
        server.chat("warm up")
        files, weight = server.process.num_fds(), server.process.memory_info().rss
        with ExitStack() as stack:
            holder = stack.enter_context(send(server.port, chat("sleep 60")))
            server.until_called("sleep 60")
            crowd = [send(server.port, chat(f"waits {n}")) for n in range(MANY)]
            server.until_depth(MANY)
            assert (server.process.memory_info().rss - weight) / MANY < 40_000
            for connection in crowd:
                reset(connection)
            server.until_depth(0)
            until(lambda: server.process.num_fds() <= files + 2, "descriptors are back to base")
            reset(holder)
        assert not any(call.startswith("began waits") for call in server.calls())


def test_past_the_bounds_turns_are_refused_and_told_when_to_come_back(folder: Path) -> None:
    with (
        Server(folder, strategy__max_waiting_per_conversation=2, strategy__max_waiting=3) as server,
        ExitStack() as stack,
    ):
        server.chat("sleep 0.1")
        holder = stack.enter_context(send(server.port, chat("until first", "a")))
        other = stack.enter_context(send(server.port, chat("until second", "b")))
        server.until_called("until first")
        server.until_called("until second")
        waiting = []
        for depth, conversation in enumerate(("a", "a", "b"), 1):
            waiting.append(stack.enter_context(send(server.port, chat("waits", conversation))))
            server.until_depth(depth)
        full = {"a": (429, "conversation-queue-full"), "b": (503, "server-full")}
        for conversation, (status, cause) in full.items():
            answer = server.chat("one too many", conversation)
            assert (answer.status, answer.cause) == (status, cause)
            assert int(answer.headers["retry-after"]) >= 1
            assert answer.json["queue_depth"] == 3
        server.let_on("first")
        server.let_on("second")
        for connection in (holder, other, *waiting):
            assert receive(connection).status == 200


@pytest.mark.parametrize("strategy", ["queue", "lock"])
def test_five_at_once_are_answered_in_the_order_in_which_they_came(
    folder: Path, strategy: str
) -> None:
    """The origin's test, and I-6."""
    with Server(folder, strategy__name=strategy) as server, ExitStack() as stack:
        first = stack.enter_context(send(server.port, chat("until all wait")))
        server.until_called("until all wait")
        others = []
        for number in range(4):
            others.append(stack.enter_context(send(server.port, chat(f"message {number}"))))
            server.until_depth(number + 1)
        server.let_on("all wait")
        answers = [receive(connection) for connection in (first, *others)]
        assert [answer.json["turn"] for answer in answers] == [1, 2, 3, 4, 5]


def five_at_once(server: Server, condition: Callable[[], bool]) -> list[Answer]:
    """The answers to five messages; whoever runs goes on when the condition holds."""

    def let_on() -> Answer:
        until(condition, "all five have come")
        server.let_on("all have come")
        return server.request("GET", "/health")

    calls = [lambda: server.chat("until all have come")] * 5
    return together([*calls, let_on])[:5]


def test_five_at_once_under_reject_leave_one_turn_and_four_refusals(folder: Path) -> None:
    with Server(folder, strategy__name="reject") as server:
        answers = five_at_once(server, lambda: server.health()["turns"].get("refused_at_once") == 4)
        assert sorted(answer.status for answer in answers) == [200, 409, 409, 409, 409]
        refused = [answer for answer in answers if answer.status == 409]
        assert {answer.cause for answer in refused} == {"conversation-busy"}
        assert all("retry-after" in answer.headers for answer in refused)


def test_five_at_once_without_a_strategy_fork_the_history(folder: Path) -> None:
    """The control, loaded by its dotted name: what the strategies are there to prevent."""
    strategy = "loadtests.controls.unprotected:Unprotected"
    with Server(folder, strategy__name=strategy) as server:
        answers = five_at_once(server, lambda: len(server.calls()) == 5)
        assert [answer.json["response"].count('"before": 0') for answer in answers] == [1] * 5

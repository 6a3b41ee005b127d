"""Two to four `runner serve` over one Postgres: order, loss and overlap, by chained replies."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.server import Server


@pytest.fixture
def servers(tmp_path: Path, url: str) -> Iterator[list[Server]]:
    with ExitStack() as stack:
        started = []
        for number in range(3):
            folder = tmp_path / str(number)
            folder.mkdir()
            started.append(stack.enter_context(Server(folder, target="chain", store__url=url)))
        yield started


def test_turns_of_one_conversation_run_in_order_whoever_accepts_them(servers: list[Server]) -> None:
    for number in range(1, 31):
        answer = servers[number % 3].chat(f"message {number}", "c")
        assert answer.status == 200, answer
        assert answer.json["turn"] == number


def test_turns_that_come_at_once_to_all_processes_are_each_kept_once(
    servers: list[Server],
) -> None:
    def ask(number: int) -> int:
        answer = servers[number % 3].chat(f"message {number}", f"c{number % 5}")
        assert answer.status == 200, answer
        return int(answer.json["turn"])

    with ThreadPoolExecutor(20) as pool:
        numbers = list(pool.map(ask, range(200)))
    assert sorted(numbers) == sorted(list(range(1, 41)) * 5)
    for conversation in range(5):
        messages = servers[0].history(f"c{conversation}")
        prior = [json.loads(reply["content"]) for reply in messages[1::2]]
        assert [one["turn"] for one in prior] == list(range(1, 41))

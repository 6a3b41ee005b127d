"""What the line reads in Postgres, in pages: a count that no neighbour on the machine changes.

Hundreds of turns wait, or ten, and came since the tables were last analysed: I-27.
"""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from runner.engine.store import SharedStore
from tests.support.postgres import drop_schema, new_schema

FEW, MANY = 10, 500

ADMIT = """
    SELECT turnline_admit(
        'turn ' || {0}, 'c' || {0} % {1}, NULL, '', 'p', true, 3, 'queue', 9999, 9999, NULL, 8
    )
"""
FETCH = "SELECT * FROM procrastinate_fetch_job_v2(ARRAY['turnline'], 1)"
STATEMENTS = {
    "admission": ADMIT.format(123456, 1),
    "withdrawal": "SELECT turnline_withdraw('turn 9')",
    "start": "SELECT turnline_start('turn 0', 'p', 1, 0)",
    "end": "SELECT turnline_finish('turn 0', 1, 0)",
    "fetch": FETCH,
}


async def pages(statement: str, waiting: int, conversations: int) -> int:
    """That it reads while so many turns wait, and one has been fetched."""
    url = new_schema()
    store = SharedStore(url)
    await store.open()
    await store.close()
    with psycopg.connect(url) as connection:

        def run(sql: str) -> psycopg.Cursor[tuple[Any, ...]]:
            return connection.execute(sql.encode())

        run("INSERT INTO procrastinate_workers DEFAULT VALUES")
        for number in range(waiting + 1):
            run(ADMIT.format(number, conversations))
        run(FETCH)
        plan: dict[str, Any] = {}
        for _ in range(2):  # The first time it reads the catalogue too.
            connection.commit()
            row = run(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}").fetchone()
            assert row is not None
            plan = row[0][0]["Plan"]
            connection.rollback()
    drop_schema(url)
    return int(plan["Shared Hit Blocks"]) + int(plan["Shared Read Blocks"])


@pytest.mark.parametrize("name", ["withdrawal", "start", "end"])
async def test_a_turn_that_starts_or_leaves_the_line_costs_the_same_however_many_wait(
    name: str,
) -> None:
    few, many = [await pages(STATEMENTS[name], waiting, 1) for waiting in (FEW, MANY)]
    assert many < few + 20


@pytest.mark.parametrize("name", ["admission", "fetch"])
async def test_an_admission_and_a_hand_over_cost_far_less_than_in_proportion_to_those_that_wait(
    name: str,
) -> None:
    few, many = [await pages(STATEMENTS[name], waiting, 100) for waiting in (FEW, MANY)]
    assert many < 4 * few


async def test_a_hand_over_behind_a_busy_conversation_reads_each_that_waits_there_once() -> None:
    """And not each for each other."""
    assert await pages(FETCH, MANY, 1) < 4 * MANY

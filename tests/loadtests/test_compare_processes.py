"""A comparison over several processes: what can be compared so, and what is told of it."""

from __future__ import annotations

import asyncio
import json
import os
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner

from loadtests.commands import compare as commands
from loadtests.commands import shared
from loadtests.measures.attempts import LoggedCall, crossings
from loadtests.report import rows, write_report
from loadtests.runs import databases
from loadtests.runs.agent import AgentFault, scheduled
from loadtests.runs.compare import compare
from loadtests.runs.plan import POSTGRES, Folder, Plan, make
from loadtests.simulation.simulate import simulate
from tests.support.postgres import execute, server_url

SHARED = Plan(("queue", "lock", "reject"), ("hot",), 1, 0.1, 30.0, store=POSTGRES, processes=2)
NOWHERE = "postgresql://me:secret@127.0.0.1:1/postgres"


def refusal(tmp_path: Path, *words: str, status: int = 2) -> str:
    """What the command says that begins nothing."""
    out = tmp_path / "never"
    result = CliRunner().invoke(commands.compare_command, [*words, "--out", str(out)])
    assert result.exit_code == status, result.output
    assert not (out / "runs.jsonl").exists()
    return result.output


def test_several_processes_are_not_compared_without_a_store_that_they_share(
    tmp_path: Path,
) -> None:
    assert "--store postgresql://..." in refusal(tmp_path, "--processes", "2")


def test_a_store_that_cannot_be_shared_is_refused(tmp_path: Path) -> None:
    assert "memory, or postgresql" in refusal(tmp_path, "--store", "sqlite:///runner.db")


@pytest.mark.parametrize("strategy", ["unprotected", "interrupt", "lock-5"])
def test_a_strategy_that_lives_in_one_process_is_refused_with_the_reason(
    tmp_path: Path, strategy: str
) -> None:
    said = refusal(tmp_path, "--store", NOWHERE, "--strategies", f"queue,{strategy}")

    assert f"{strategy} cannot run over Postgres" in said
    assert "memory of one process" in said


def test_a_server_that_is_not_there_is_told_in_a_sentence(tmp_path: Path) -> None:
    said = refusal(tmp_path, "--store", NOWHERE, status=1)

    assert said.startswith("Error: the Postgres server: ")
    assert "Traceback" not in said


def test_who_reads_the_plan_does_not_learn_where_the_server_is() -> None:
    words = ["compare", "--store", NOWHERE, f"--store={NOWHERE}"]

    found = shared.without_names(words, NOWHERE)

    assert found == ["compare", "--store", "postgresql://...", "--store=postgresql://..."]


def test_a_turn_is_handed_over_where_another_process_ran_the_one_before_it() -> None:
    order = [("one", 1), ("two", 2), ("one", 1), ("one", 2), ("two", 2), ("one", 1)]
    calls = [
        LoggedCall(str(n), conversation, float(n), n + 0.5, "answered", float(n), process=process)
        for n, (conversation, process) in enumerate(order)
    ]

    assert crossings(reversed(calls)) == 2


def test_the_agent_fails_once_at_a_turn_though_each_attempt_is_in_another_process(
    tmp_path: Path,
) -> None:
    message = "[7] Wait 0.0 s, then fail once."
    log = str(tmp_path / "calls.jsonl")
    # Another number of backends makes another agent, as another process would.
    one, other = scheduled("c", log, backends=0), scheduled("c", log, backends=1)

    with pytest.raises(AgentFault):
        asyncio.run(one.answer(message, []))
    asyncio.run(other.answer(message, []))

    calls = [LoggedCall(*json.loads(line)) for line in Path(log).read_text().splitlines()]
    assert [call.ended for call in calls] == ["failed", "answered"]
    assert {call.process for call in calls} == {os.getpid()}


def test_the_report_tells_what_was_handed_over_between_the_processes(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.begin(SHARED, ["runner", "compare"], {})
    workload = make(SHARED, "hot", 1)
    for strategy in SHARED.strategies:
        run = simulate(strategy, workload, services=SHARED.services)
        folder.add([replace(run, crossings=1_234)])

    rows.write(folder)
    (tmp_path / "runs.jsonl").unlink()

    assert write_report(folder).crossings("lock") == 1_234
    text = (tmp_path / "report.md").read_text()
    assert "| strategy | runs | users' turns | handed over | lost |" in text
    assert "3,702 were handed over to another process" in text
    assert "2 real server processes that share a database" in text


def test_a_line_in_a_database_is_not_held_against_the_simulation_of_one_process(
    tmp_path: Path,
) -> None:
    folder = Folder(tmp_path)
    folder.begin(SHARED, ["runner", "compare"], {})
    folder.add([simulate("queue", make(SHARED, "hot", 1), services=SHARED.services)])

    rows.write(folder)

    assert {row.how for row in rows.read_table(folder)} == {rows.MEASURED}


def test_a_database_of_a_run_is_gone_though_a_process_is_still_connected() -> None:
    with databases.fresh(server_url()) as url:
        name = url.rpartition("/")[2].partition("?")[0]
        execute(url, "CREATE TABLE kept (id integer)")
        connected = psycopg.connect(url)

    found = execute(server_url(), "SELECT 1 FROM pg_database WHERE datname = %s", (name,))
    assert not found
    connected.close()


@pytest.mark.slow
def test_two_processes_that_share_a_database_lose_double_and_reorder_nothing(
    tmp_path: Path,
) -> None:
    folder = Folder(tmp_path)
    folder.begin(SHARED, ["runner", "compare"], {})

    (step,) = compare(SHARED, folder, server=server_url())

    assert not any(step.findings.values()), step.findings
    for run in folder.runs():
        assert len(run.turns) == len(make(SHARED, "hot", 1).arrivals)
        print(run.strategy, "handed over:", run.crossings, "of", len(run.calls))
        assert run.crossings

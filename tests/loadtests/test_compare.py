"""A comparison keeps what it has, goes on where it was, and says what is wrong."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from loadtests.commands import compare as commands
from loadtests.measures.records import Run
from loadtests.report import write_report
from loadtests.report.results import Results
from loadtests.runs import compare as comparing
from loadtests.runs.compare import compare
from loadtests.runs.plan import Folder, Plan, make
from loadtests.runs.processes import RunFailed
from loadtests.simulation.simulate import simulate

Batches = list[tuple[str, int, list[str]]]

PLAN = Plan(("queue", "lock", "unprotected"), ("burst", "steady-0.8"), 2, 0.1, 20.0)


def begun(path: Path, plan: Plan = PLAN) -> Folder:
    folder = Folder(path)
    folder.begin(plan, ["runner", "compare"], {"python": "3.11"})
    return folder


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> Batches:
    """Runs in virtual time in place of real ones; which were asked for."""
    asked: Batches = []

    def run_batch(
        plan: Plan, strategies: list[str], name: str, seed: int, server: str
    ) -> list[Run]:
        asked.append((name, seed, strategies))
        workload = make(plan, name, seed)
        return [simulate(s, workload, services=plan.services) for s in strategies]

    monkeypatch.setattr(comparing, "run_batch", run_batch)
    return asked


def test_every_strategy_workload_and_seed_is_run_once(tmp_path: Path, batches: Batches) -> None:
    folder = begun(tmp_path)
    list(compare(PLAN, folder))

    assert len(batches) == 4
    assert {(r.strategy, r.workload, r.seed) for r in folder.runs()} == {
        (s, w, seed) for s in PLAN.strategies for w in PLAN.workloads for seed in (1, 2)
    }


def test_a_comparison_that_was_cut_off_goes_on_where_it_was(
    tmp_path: Path, batches: Batches
) -> None:
    next(compare(PLAN, begun(tmp_path)))  # And no more: it is left there.
    done = batches.pop()

    list(compare(PLAN, begun(tmp_path)))

    assert len(batches) == 3
    assert done not in batches


def test_a_line_that_was_cut_off_in_the_middle_is_done_again(
    tmp_path: Path, batches: Batches
) -> None:
    folder = begun(tmp_path)
    list(compare(PLAN, folder))
    raw = tmp_path / "runs.jsonl"
    raw.write_text(raw.read_text()[:-40])
    batches.clear()

    list(compare(PLAN, folder))

    assert len(batches) == 1
    assert len(batches[0][2]) == 1
    assert len(folder.runs()) == 12


def test_a_batch_whose_generator_was_late_is_repeated(tmp_path: Path, batches: Batches) -> None:
    folder = begun(tmp_path)
    list(compare(PLAN, folder))
    run = folder.runs()[0]
    folder.add([replace(run, turns=tuple(replace(turn, lag_s=0.02) for turn in run.turns))])
    batches.clear()

    list(compare(PLAN, folder))

    assert batches == [(run.workload, run.seed, list(PLAN.strategies))]
    assert not Results.of(folder).late


def test_another_plan_is_refused_the_same_folder(tmp_path: Path) -> None:
    begun(tmp_path)

    with pytest.raises(ValueError, match="other seeds; name another folder: --out"):
        begun(tmp_path, replace(PLAN, seeds=3))


def test_a_trace_is_kept_with_the_runs_so_that_the_report_needs_nothing_else(
    tmp_path: Path, batches: Batches
) -> None:
    log = tmp_path / "mine.jsonl"
    turns = [{"at": 0.3 * n, "conversation": f"c{n % 2}", "service_s": 0.2} for n in range(9)]
    log.write_text("".join(json.dumps(turn) + "\n" for turn in turns))
    plan = replace(PLAN, workloads=(f"trace:{log}",))
    folder = begun(tmp_path / "first", plan)
    list(compare(folder.plan(), folder))
    begun(tmp_path / "first", plan)  # The same again is no other plan.
    log.unlink()
    moved = Folder((tmp_path / "first").rename(tmp_path / "moved"))

    faults = write_report(moved).findings

    assert not faults["queue"]
    assert "trace:mine.jsonl" in (moved.path / "report.md").read_text()
    assert all(len(run.turns) == 9 for run in moved.runs())


def test_several_batches_at_once_are_each_run_once(tmp_path: Path, batches: Batches) -> None:
    folder = begun(tmp_path)
    steps = list(compare(PLAN, folder, at_once=3))

    assert len({(name, seed) for name, seed, _ in batches}) == len(batches) == 4
    assert [step.done for step in steps] == [1, 2, 3, 4]
    assert len(folder.runs()) == 12


def test_no_more_batches_run_at_once_than_were_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    two = threading.Barrier(2, timeout=30)
    guard, running, most = threading.Lock(), 0, 0

    def run_batch(
        plan: Plan, strategies: list[str], name: str, seed: int, server: str
    ) -> list[Run]:
        nonlocal running, most
        with guard:
            running += 1
            most = max(most, running)
        two.wait()  # Until a second one runs beside it.
        with guard:
            running -= 1
        return [simulate("queue", make(plan, name, seed))]

    monkeypatch.setattr(comparing, "run_batch", run_batch)
    list(compare(replace(PLAN, strategies=("queue",)), begun(tmp_path), at_once=2))

    assert most == 2


def test_what_ran_beside_a_batch_that_failed_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = threading.Barrier(2, timeout=30)

    def run_batch(
        plan: Plan, strategies: list[str], name: str, seed: int, server: str
    ) -> list[Run]:
        both.wait()
        if name == "burst":
            raise RunFailed("no server")
        return [simulate(s, make(plan, name, seed)) for s in strategies]

    monkeypatch.setattr(comparing, "run_batch", run_batch)
    folder = begun(tmp_path)

    with pytest.raises(RunFailed, match="no server"):
        list(compare(PLAN, folder, at_once=2))
    assert {run.workload for run in folder.runs()} == {"steady-0.8"}


def test_figures_without_their_raw_data_are_not_gone_on_with(
    tmp_path: Path, batches: Batches
) -> None:
    folder = begun(tmp_path)
    list(compare(PLAN, folder))
    write_report(folder)
    (tmp_path / "runs.jsonl").unlink()

    with pytest.raises(ValueError, match="without its raw data"):
        begun(tmp_path)


def test_a_comparison_that_goes_on_at_another_commit_says_so(
    tmp_path: Path, batches: Batches
) -> None:
    for commit in ("abc1", "def2", "def2", "abc1"):
        Folder(tmp_path).begin(PLAN, ["runner", "compare"], {"commit": commit})

    assert Folder(tmp_path).about()["went_on_at"] == ["def2"]


def broken(run: Run) -> Run:
    return replace(run, histories=tuple(replace(h, messages=h.messages[1:]) for h in run.histories))


@pytest.mark.parametrize(("strategy", "status"), [("lock", 1), ("unprotected", 0)])
def test_a_fault_of_a_strategy_fails_the_command_and_one_of_the_control_does_not(
    tmp_path: Path, batches: Batches, strategy: str, status: int
) -> None:
    folder = begun(tmp_path)
    list(compare(PLAN, folder))
    folder.add([broken(run) for run in folder.runs() if run.strategy == strategy])

    result = CliRunner().invoke(commands.report_command, [str(tmp_path)])

    assert result.exit_code == status, result.output


@pytest.mark.parametrize(
    "words", [["--strategies", "queeu"], ["--workloads", "brust"], ["--workloads", "trace:none"]]
)
def test_a_name_that_nothing_goes_by_is_a_usage_error(tmp_path: Path, words: list[str]) -> None:
    result = CliRunner().invoke(
        commands.compare_command, [*words, "--out", str(tmp_path / "never")]
    )

    assert result.exit_code == 2
    assert not (tmp_path / "never").exists()


def test_the_schema_stands_beside_the_raw_data(tmp_path: Path) -> None:
    begun(tmp_path)

    schema = json.loads((tmp_path / "schema.json").read_text())
    assert {"run", "turns", "calls", "histories"} <= schema.keys()

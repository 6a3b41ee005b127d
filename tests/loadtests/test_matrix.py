"""The matrix: a light simulation is the full one, a table is the same each time, losses are few."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from loadtests.commands.simulate import simulate_command
from loadtests.measures.figures import figures, main_figures
from loadtests.measures.intervals import Effect
from loadtests.measures.records import Run
from loadtests.report.breadth import MATRIX, load
from loadtests.report.review import DATA
from loadtests.simulation import table
from loadtests.simulation.cells import TIMEOUT, TOLD, Cell, cells
from loadtests.simulation.matrix import EVERYWHERE, REGRET, Row, matrix
from loadtests.simulation.simulate import simulate
from loadtests.workloads.shapes import make
from loadtests.workloads.workload import Arrival, Workload
from strategies import Ticket, Turn
from strategies.queue import Queue
from strategies.testing.clock import VirtualLoop

FIVE = (
    Cell("told", "openai", 2.0, "one", "exponential"),
    Cell("leaves", "backoff", 1.2, "fifty", "azure-code"),
    Cell("silent", "fixed", 0.8, "one", "lognormal"),
    Cell("told", "give-up", 4.0, "one", "azure-conv", 4.0),
    Cell("", "", 0.0, "hot", ""),
)
FEW = (FIVE[0], FIVE[2])

EXCUSED = {
    ("leaves backoff 4 one lognormal 10", "reject"),
    ("leaves fixed 4 one azure-code 10", "reject"),
    ("leaves fixed 4 one exponential 10", "reject"),
    ("silent backoff 1.2 fifty lognormal 10", "reject"),
    ("silent backoff 2 one azure-code 10", "reject"),
    ("silent backoff 2 one lognormal 10", "reject"),
    ("silent backoff 4 one azure-code 10", "reject"),
    ("silent backoff 4 one exponential 10", "reject"),
    ("silent fixed 1.2 one exponential 10", "reject"),
    ("silent fixed 2 one exponential 10", "reject"),
    ("silent fixed 2 one lognormal 10", "reject"),
    ("silent fixed 4 one azure-code 10", "reject"),
    ("silent fixed 4 one azure-conv 10", "reject"),
    ("silent fixed 4 one lognormal 10", "reject"),
    ("tight", "reject"),
    ("told backoff 1.2 fifty azure-conv 10", "reject"),
    ("told fixed 2 fifty azure-code 10", "reject"),
    ("told fixed 2 fifty lognormal 10", "reject"),
    ("told openai 1.2 fifty azure-conv 10", "lock"),
    ("told openai 1.2 fifty exponential 10", "lock"),
    ("told openai 1.2 fifty lognormal 10", "lock"),
}
"""Where lock or reject clearly serves more users at all; in time nowhere does. Most are silent
clients, or such as leave, that come again many times: the first turns of a standing queue are spent
before it is known to stand (twenty of a hundred, in these runs), and what is presumed of patience
is not what these have. The others are by .04 or less."""


def without_chain(run: Run) -> Run:
    histories = tuple(replace(each, digest="", stale=None) for each in run.histories)
    return replace(run, histories=histories)


# A simulation that is fast is the same.


@pytest.mark.parametrize("strategy", EVERYWHERE)
@pytest.mark.parametrize("cell", FIVE, ids=str)
def test_a_run_without_a_chain_is_the_run_with_it(cell: Cell, strategy: str) -> None:
    workload = cell.workload(1)

    full = simulate(strategy, workload)

    assert simulate(strategy, workload, chain=False) == without_chain(full)
    assert all(history.stale == 0 for history in full.histories)


@pytest.mark.parametrize("workload", ["faulty", "sessions", "callers"])
def test_so_it_is_where_agents_fail_and_users_go_on(workload: str) -> None:
    made = make(workload, 1, service_s=1.0)

    assert simulate("merge", made, chain=False) == without_chain(simulate("merge", made))


@pytest.mark.parametrize("strategy", [*EVERYWHERE, "lock-5", "fifo-20"])
@pytest.mark.parametrize("load", [0.8, 4.0])
@pytest.mark.parametrize("told", ["told", "leaves", "silent"])
def test_where_nothing_is_due_at_the_same_instant_the_light_loop_is_asyncios(
    told: str, load: float, strategy: str
) -> None:
    workload = Cell(told, "give-up", load, "fifty", "exponential").workload(1)

    assert simulate(strategy, workload) == simulate(strategy, workload, make_loop=VirtualLoop)


def test_what_is_due_less_than_a_step_of_the_clock_later_is_due_now() -> None:
    """It never ended: the clock was set forward to where it stood."""
    due_s = 0.20400000000000001  # More than the .204 that the clock can show.
    arrivals = (Arrival(0.0, "c", 0.1), Arrival(0.204, "c", 0.1), Arrival(due_s + 3e-17, "c", 0.1))
    workload = replace(make("burst", 1), arrivals=arrivals)
    assert len(simulate("queue", workload).turns) == 3


def test_each_attempt_of_a_user_says_the_same_words() -> None:
    said: dict[str, set[str]] = {}

    class Seen(Queue):
        def submit(self, turn: Turn) -> Ticket:
            said.setdefault(turn.id.partition(".")[0], set()).add(turn.message)
            return super().submit(turn)

    workload = FIVE[0].workload(1)
    run = simulate_with(Seen, workload)

    assert any(len(turn.attempts) > 1 for turn in run.turns)
    assert all(len(words) == 1 for words in said.values())
    assert len(said) == len({words for each in said.values() for words in each})


def simulate_with(strategy: type[Queue], workload: Workload) -> Run:
    globals()["Tried"] = strategy  # Where the name leads.
    return simulate(f"{__name__}:Tried", workload, chain=False)


def test_the_main_figures_are_those_of_all_figures() -> None:
    workload = FIVE[1].workload(1)
    run = simulate("queue", workload)

    full = figures(run, workload)

    assert main_figures(run, workload) == {
        name: full[name] for name in ("served", "in_time", "goodput", "attempts")
    }


# The cells.


def test_the_cells_are_all_kinds_of_clients_at_all_loads_and_the_named_ones() -> None:
    usual, quick = list(cells()), list(cells(4.0))

    assert len(usual) == len(set(usual)) == 3 * 4 * 5 * 2 * 4 + 5
    assert len(quick) == 480
    assert {cell.timeout for cell in usual if cell.load} == {TIMEOUT}


def test_a_cell_makes_the_traffic_that_it_says() -> None:
    made = Cell("leaves", "openai", 2.0, "fifty", "lognormal", 30.0).workload(3)

    assert (made.horizon_s, made.backends) == (150, 4)
    assert (made.clients.timeout, made.clients.patience) == (30.0, 90.0)
    assert (made.clients.leaves, made.clients.tells_deadline) == (True, False)
    assert 1.6 < made.offered < 2.4
    assert made == Cell("leaves", "openai", 2.0, "fifty", "lognormal", 30.0).workload(3)


# The judging.


@pytest.fixture(scope="module")
def few() -> list[Row]:
    return matrix(FEW, ["queue", "reject", "lock", "lock-5"], seeds=4)


def test_the_table_is_the_same_whatever_the_number_of_processes(few: list[Row]) -> None:
    assert matrix(FEW, ["queue", "reject", "lock", "lock-5"], seeds=4, jobs=2) == few


def test_a_simple_opponent_is_tried_in_some_cells_only(few: list[Row]) -> None:
    tried = [[row.strategy for row in few if row.cell == cell] for cell in FEW]

    assert tried == [["queue", "reject", "lock", "lock-5"], ["queue", "reject", "lock"]]


def test_what_looks_worse_is_judged_on_fresh_seeds_and_the_rest_is_not() -> None:
    # Whoever runs all turns of a conversation at once serves all of them, and breaks its history.
    cell = Cell("told", "give-up", 2.0, "one", "exponential")
    _, unprotected, reject = matrix([cell], ["unprotected", "reject"], seeds=4)

    assert (unprotected.seeds, unprotected.judged) == (20, True)
    assert unprotected.losses == ["served", "in_time"]
    assert (reject.seeds, reject.judged) == (4, False)
    assert reject.verdict("in_time") == "win"


def test_only_what_was_judged_is_lost() -> None:
    effect = Effect(-0.05, -0.08, -0.02, (-0.05,) * 20)
    screened = Row(FIVE[0], "lock", 8, {}, {"served": effect, "in_time": effect})

    assert screened.verdict("served") == "tie"
    assert replace(screened, judged=True).losses == ["served", "in_time"]
    assert replace(screened, judged=True, effects={"served": small(effect)}).losses == []


def small(effect: Effect) -> Effect:
    return replace(effect, mean=-0.005, low=-0.008, high=-0.002)


# What is shown.


def test_the_csv_has_a_line_for_each_strategy_in_each_cell(few: list[Row], tmp_path: Path) -> None:
    table.write_csv(few, tmp_path / "matrix.csv")

    lines = list(csv.DictReader((tmp_path / "matrix.csv").read_text().splitlines()))
    assert tuple(lines[0]) == table.COLUMNS
    assert [line["strategy"] for line in lines] == [row.strategy for row in few]
    assert all((line["d_served"] == "") == (line["strategy"] == "queue") for line in lines)
    for line, row in zip(lines, few, strict=True):
        assert line["in_time"] == str(round(row.means["in_time"], 4))


def test_the_text_counts_every_cell_once(few: list[Row]) -> None:
    text = table.as_text(few)

    against_lock = next(line for line in text.splitlines() if line.split()[:2] == ["all", "lock"])
    number, *counts = map(int, against_lock.split()[2:])
    assert number == 2
    assert sum(counts[:3]) == sum(counts[3:]) == 2


def test_the_worst_regret_is_that_of_the_cell_where_the_best_is_farthest(few: list[Row]) -> None:
    worst = table.worst_regret(few)

    assert worst is not None
    assert worst.share == max(-row.effects["in_time"].mean for row in few if row.effects)
    assert json.loads(table.as_json_text(few))["worst_regret"]["cell"] == str(worst.cell)


@pytest.mark.parametrize("other", [("--target", "p95 under 3s"), ("--workload", "silent")])
def test_an_option_that_the_matrix_would_ignore_is_a_usage_error(other: tuple[str, str]) -> None:
    result = CliRunner().invoke(simulate_command, ["--matrix", *other])

    assert result.exit_code == 2
    assert f"leave {other[0]} out" in result.output


def test_an_unknown_strategy_is_a_usage_error() -> None:
    result = CliRunner().invoke(simulate_command, ["--matrix", "--strategies", "queeu"])

    assert result.exit_code == 2


# The whole matrix.


# A minute or two for each kind of clients; cells are judged each by itself, so it is one matrix.
@pytest.mark.parametrize("told", [*TOLD, ""], ids=[*TOLD, "named"])
def test_lock_and_reject_clearly_serve_more_in_time_nowhere_and_at_all_where_excused(
    told: str,
) -> None:
    whole = matrix([cell for cell in cells() if cell.told == told], EVERYWHERE)

    assert [row for row in whole if "in_time" in row.losses] == []
    assert {(str(row.cell), row.strategy) for row in whole if "served" in row.losses} <= EXCUSED
    against = [row for row in whole if row.strategy == "reject"]
    assert sum(row.verdict("in_time") == "win" for row in against) > len(against) / 2


def test_in_the_committed_table_no_opponent_is_clearly_better_in_both_measures() -> None:
    breadth = load(DATA / MATRIX)

    assert breadth is not None
    assert [other for other in breadth.others if breadth.dominated(other)] == []


def test_in_the_committed_table_the_regret_in_time_is_small_but_for_three_cells() -> None:
    """Clients of OpenAI's kind that leave or are silent: a bound of three fits their patience."""
    breadth = load(DATA / MATRIX)

    assert breadth is not None
    large = [each for each in breadth.regrets("queue", "in_time") if each.size > REGRET]
    assert {str(each.cell).partition(", timeout")[0] for each in large} <= {
        "leaves, openai, load 2, one conversation, exponential",
        "leaves, openai, load 1.2, one conversation, exponential",
        "silent, openai, load 1.2, one conversation, exponential",
    }

"""The report says what the data say, in one small page, and needs no raw data for it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from hashlib import sha256
from itertools import product
from pathlib import Path

import pytest

from loadtests.measures.figures import MEASURES
from loadtests.measures.histories import Findings
from loadtests.measures.intervals import Effect
from loadtests.measures.records import Run
from loadtests.report import effects, rows, write_report
from loadtests.report.breadth import MATRIX, Breadth, Cell, load
from loadtests.report.breadth_tables import lost, regret, won
from loadtests.report.page import write_pages
from loadtests.report.results import Results
from loadtests.report.verdict import verdict
from loadtests.report.words import versus
from loadtests.runs.plan import Folder, Plan, make
from loadtests.simulation.simulate import simulate

PLAN = Plan(("queue", "lock", "reject", "unprotected"), ("overload-2", "steady-0.8"), 2, 0.1, 20.0)


def compared(path: Path, plan: Plan = PLAN) -> Folder:
    """A comparison whose runs are in virtual time."""
    folder = Folder(path)
    folder.begin(plan, ["runner", "compare"], {"commit": "abc1"})
    made = [make(plan, name, seed) for name in plan.workloads for seed in range(1, plan.seeds + 1)]
    folder.add(
        [simulate(s, each, services=plan.services) for each in made for s in plan.strategies]
    )
    return folder


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    folder = compared(tmp_path_factory.mktemp("comparison"))
    write_report(folder)
    return folder


def lines(cells: Iterable[tuple[str, str, str, float]], where: str = "one,exponential,10") -> str:
    """A matrix of (clients, load, strategy, how much queue is better), in time and served."""
    head = (
        "told,retry,load,shape,service,timeout,strategy,seeds,served,in_time,goodput,attempts,"
        "d_served,d_served_low,d_served_high,d_in_time,d_in_time_low,d_in_time_high"
    )
    text = [head]
    for told, of_load, strategy, d in cells:
        effect = "" if strategy == "queue" else f"{d},{d - 0.02:.3f},{d + 0.02:.3f}"
        own = 0.5 - (0 if strategy == "queue" else d)
        cell = f"{told},backoff,{of_load},{where},{strategy},20"
        text.append(f"{cell},{own},{own},.5,2,{effect or ',,'},{effect or ',,'}")
    return "\n".join(text) + "\n"


CELLS = [
    ("told", "2", "queue", 0.0),
    ("told", "2", "lock", 0.3),
    ("told", "2", "reject", 0.01),
    ("silent", "4", "queue", 0.0),
    ("silent", "4", "lock", 0.1),
    ("silent", "4", "reject", -0.2),
]


@pytest.fixture
def breadth(tmp_path: Path) -> Breadth:
    (tmp_path / MATRIX).write_text(lines(CELLS))
    found = load(tmp_path / MATRIX)
    assert found is not None
    return found


def test_the_report_without_the_raw_data_is_the_same(tmp_path: Path) -> None:
    folder = compared(tmp_path)
    write_report(folder)
    first = {
        path.name: path.read_bytes() for path in tmp_path.rglob("*.*") if path.suffix != ".jsonl"
    }
    (tmp_path / "runs.jsonl").unlink()
    write_report(folder)

    assert {"report.html", "report.md", "figures.csv", "digest.txt"} <= first.keys()
    assert {name: (path := next(tmp_path.rglob(name))).read_bytes() for name in first} == first, (
        path
    )


def test_figures_from_the_raw_data_and_from_the_table_are_the_same(written: Folder) -> None:
    raw = {(r.strategy, r.workload, r.seed): repr(r) for r in rows.read(written)}
    table = [row for row in rows.read_table(written) if row.how == rows.MEASURED]

    assert {(r.strategy, r.workload, r.seed): repr(r) for r in table} == raw


def test_the_digest_is_that_of_the_sorted_lines_and_changes_with_one(tmp_path: Path) -> None:
    folder = compared(tmp_path, replace(PLAN, workloads=("steady-0.8",), seeds=1))
    raw = tmp_path / "runs.jsonl"
    ordered = b"".join(sorted(raw.read_bytes().splitlines(keepends=True)))
    first = folder.describe_raw_data()
    raw.write_text(raw.read_text().replace('"answered"', '"failed"', 1))

    assert first.startswith(sha256(ordered).hexdigest())
    assert "4 lines" in first
    assert folder.describe_raw_data() != first


def test_the_page_is_small_and_loads_nothing_from_elsewhere(written: Folder) -> None:
    page = (written.path / "report.html").read_text()

    assert len(page.encode()) < 300_000
    assert "<svg" in page
    assert "prefers-color-scheme: dark" in page
    for outside in ("src=", "<link", "@import", "<script", "http:", "https:", "url(h"):
        assert outside not in page, outside


def test_a_page_with_hundreds_of_cells_is_still_small(written: Folder, tmp_path: Path) -> None:
    others = ("lock", "reject", "lock-5", "fifo-20", "lock-half", "reject-jitter")
    kinds = list(product(("told", "leaves", "silent"), ("0.5", "0.8", "1.2", "2", "4")))
    tables: list[str] = []
    for at, shape in enumerate(product(("one", "fifty"), "abcd", ("4", "10", "30", "60"))):
        found = enumerate(product(kinds, ("queue", *others)))
        cells = ((*kind, name, ((n * 37 + at) % 100 - 40) / 99) for n, (kind, name) in found)
        tables.append(lines(cells, ",".join(shape)))
    head, *rest = [line for table in tables for line in table.splitlines()]
    (tmp_path / MATRIX).write_text("\n".join([head, *(line for line in rest if line != head)]))
    write_pages(Results.of(written), tmp_path)

    assert (tmp_path / "report.html").stat().st_size < 300_000


def test_every_name_in_a_figure_is_text_and_keeps_its_numbers(written: Folder) -> None:
    texts = re.findall(r"<text[^>]*>([^<]*)<", (written.path / "figures/by-load.svg").read_text())

    assert {"queue", "lock", "reject", "offered load", "0.8", "2"} <= set(texts)


def test_no_two_figures_of_the_page_share_an_id(written: Folder) -> None:
    ids = re.findall(r'\bid="([^"]+)"', (written.path / "report.html").read_text())

    assert len(ids) == len(set(ids))


def by_hand(served: dict[tuple[str, str], float], seeds: int = 12) -> Results:
    """Results in which (strategy, workload) serves so many, in time too; seeds differ a little."""
    made = [
        rows.Row(
            rows.MEASURED,
            *(strategy, workload, seed, 100, 100, 1.0, 0, 0),
            dict.fromkeys(MEASURES, share + seed % 3 / 1000 * (strategy == "queue")),
            Findings(),
        )
        for (strategy, workload), share in served.items()
        for seed in range(1, seeds + 1)
    ]
    strategies, workloads = (tuple(dict.fromkeys(names)) for names in zip(*served, strict=True))
    plan = Plan(strategies, workloads, seeds, 0.3, 100.0)
    return Results({"command": ["runner"], "environment": {}}, plan, made)


def test_the_answer_counts_what_is_won_and_names_the_worst_of_what_is_lost() -> None:
    of_queue = {"spike": 0.5, "hot": 0.5, "tight": 0.5, "burst": 0.5}
    of_lock = {"spike": 0.2, "hot": 0.3, "tight": 0.9, "burst": 0.5}
    shares = {("queue", name): share for name, share in of_queue.items()}
    results = by_hand({**shares, **{("lock", name): share for name, share in of_lock.items()}})
    first, second, third = verdict(results)

    assert first == (
        "In 2 of 4 workloads on real servers queue serves clearly more users in time than lock "
        "(fewer in 1)."
    )
    assert second.startswith("It does worst under tight, by users served against lock: queue worse")
    assert second.endswith("of 8 comparisons it clearly loses 2.")
    assert third == (
        "None of 9,600 turns in real runs was lost, doubled, reordered or orphaned; "
        "this machine kept up in all runs (96)."
    )


def test_figures_order_the_workloads_by_effect() -> None:
    shares = {("queue", name): 0.5 for name in ("spike", "hot", "tight")}
    of_lock = {"spike": 0.3, "hot": 0.9, "tight": 0.1}
    results = by_hand({**shares, **{("lock", name): share for name, share in of_lock.items()}})
    figure = next(effects.measured(results))

    assert figure.title == (
        "In 2 of 3 workloads on real servers queue serves more users in time than lock, in 1 fewer"
    )
    assert re.findall(r">(spike|hot|tight)<", figure.svg) == ["tight", "spike", "hot"]


def test_the_answer_is_three_sentences_and_the_second_says_where_queue_does_worst(
    written: Folder, breadth: Breadth
) -> None:
    results = Results.of(written)
    for sentences in (verdict(results), verdict(results, breadth)):
        assert len(sentences) == 3
        assert all(sentence.endswith(".") for sentence in sentences)
    assert "clearly loses to lock or reject in 1 of 2 cells" in verdict(results, breadth)[1]
    assert "most in silent, backoff, load 4" in verdict(results, breadth)[1]
    assert "0.20 fewer" in verdict(results, breadth)[1]


def changed(folder: Folder, change: Callable[[Run], Run], workload: str = "steady-0.8") -> None:
    folder.add([change(run) for run in folder.runs() if run.workload == workload])


def test_what_the_machine_was_too_slow_for_stands_in_the_answer(tmp_path: Path) -> None:
    folder = compared(tmp_path)
    assert "kept up in all runs (16)" in verdict(Results.of(folder))[2]

    changed(
        folder, lambda run: replace(run, turns=tuple(replace(t, lag_s=0.02) for t in run.turns))
    )
    write_report(folder)

    assert "too slow for steady-0.8 (8 of 8 runs)" in verdict(Results.of(folder))[2]
    threats = (tmp_path / "report.md").read_text().partition("Threats")[2]
    assert "in 8 of 16 runs" in threats
    assert "2 of 4 batches" in threats


def test_a_fault_stands_in_the_answer(tmp_path: Path) -> None:
    folder = compared(tmp_path)
    changed(folder, lambda run: replace(run, histories=()))

    assert "INTEGRITY FAILED under queue" in verdict(Results.of(folder))[2]


def test_corrections_of_the_data_stand_under_threats(tmp_path: Path) -> None:
    folder = compared(tmp_path)
    plan = tmp_path / "plan.json"
    plan.write_text(plan.read_text().replace('"corrections": []', '"corrections": ["moved by 1."]'))
    write_report(folder)

    assert "corrected after they were measured: moved by 1." in (tmp_path / "report.md").read_text()


def test_a_figures_title_follows_the_data(tmp_path: Path) -> None:
    def title() -> str:
        return (tmp_path / "report.md").read_text().partition("### ")[2].partition("\n")[0]

    (tmp_path / MATRIX).write_text(lines(CELLS))
    folder = compared(tmp_path, replace(PLAN, workloads=("steady-0.8",), seeds=1))
    write_report(folder)
    first = title()
    (tmp_path / MATRIX).write_text(lines([(*cell[:3], -cell[3]) for cell in CELLS]))
    write_report(folder)

    assert (
        first == "In 2 of 2 simulated cells queue serves more users in time than lock, in 0 fewer"
    )
    assert (
        title() == "In 0 of 2 simulated cells queue serves more users in time than lock, in 2 fewer"
    )


@pytest.mark.parametrize("strategies", [("queue",), ("unprotected",), ("lock", "reject")])
def test_any_strategies_have_a_report(tmp_path: Path, strategies: tuple[str, ...]) -> None:
    plan = replace(PLAN, strategies=strategies, workloads=("burst",), seeds=1)
    write_report(compared(tmp_path, plan))

    assert "kept up" in (tmp_path / "report.md").read_text()


def test_cells_are_won_tied_and_lost(breadth: Breadth) -> None:
    assert won(breadth).rows == (
        ("lock", "2", "0", "0", "2", "0", "0", "0"),
        ("reject", "0", "1", "1", "0", "1", "1", "1"),
    )


def test_every_cell_that_is_clearly_lost_is_named(breadth: Breadth) -> None:
    where = "silent, backoff, load 4, one conversation, exponential, timeout 10"

    assert [row[:3] for row in lost(breadth).rows] == [
        (where, "users served in time", "reject"),
        (where, "users served", "reject"),
    ]
    assert {row[3] for row in lost(breadth).rows} == {"0.20 [0.18, 0.22]"}


def test_regret_is_how_far_the_best_is_ahead(breadth: Breadth) -> None:
    assert breadth.worst_regret("queue", "in_time").size == pytest.approx(0.2)
    assert breadth.worst_regret("queue", "in_time").best == "reject"
    assert breadth.worst_regret("lock", "in_time").size == pytest.approx(0.3)
    assert [row[0] for row in regret(breadth).rows] == ["reject", "queue", "lock"]


def test_a_named_workload_is_a_cell_by_its_name() -> None:
    assert str(Cell("", "", None, "tight", "", "")) == "tight"


def test_a_table_that_is_no_matrix_is_named(tmp_path: Path) -> None:
    (tmp_path / MATRIX).write_text("a,b\n1,2\n")

    with pytest.raises(ValueError, match="not a matrix"):
        load(tmp_path / MATRIX)


@pytest.mark.parametrize(
    ("measure", "effect", "said"),
    [
        ("served", Effect(0.31, 0.27, 0.36, (0.31,)), "queue better by 0.31 [0.27, 0.36]"),
        ("served", Effect(-0.31, -0.36, -0.27, (0.31,)), "queue worse by 0.31 [0.27, 0.36]"),
        ("attempts", Effect(-2.0, -3.0, -1.0, (-2.0,)), "queue better by 2.00 [1.00, 3.00]"),
        ("served", Effect(0.01, -0.01, 0.03, (0.01,)), "tie [-0.01, +0.03]"),
        ("served", Effect(0.008, 0.004, 0.012, (0.01,)), "tie [0.00, +0.01]"),
        ("served", Effect(0.2, None, None, (0.2,)), "queue better by 0.20 (too few runs)"),
    ],
)
def test_a_difference_says_whose_it_is(measure: str, effect: Effect, said: str) -> None:
    assert versus(effect, measure, "queue") == said


def test_the_glossary_has_every_measure(written: Folder) -> None:
    page = (written.path / "report.html").read_text()

    for measure in MEASURES.values():
        assert f"<dt>{measure.title}</dt>" in page

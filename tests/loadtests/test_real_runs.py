"""Real servers and a real Locust: the whole way, once, and held against virtual time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from loadtests.measures.figures import figures
from loadtests.measures.records import BROKEN, LEFT, UserTurn, turn_from_list
from loadtests.runs.compare import compare
from loadtests.runs.plan import Folder, Plan, make
from loadtests.runs.servers import ROOT, running
from loadtests.simulation.simulate import simulate
from tests.support.client import PATIENCE_S

PLAN = Plan(("queue", "reject", "unprotected"), ("burst", "retrying-openai"), 1, 0.05, 30.0)


@pytest.mark.slow
def test_a_real_comparison_finds_the_control_broken_and_the_strategies_sound(
    tmp_path: Path,
) -> None:
    folder = Folder(tmp_path)
    folder.begin(PLAN, ["runner", "compare"], {})
    found = [step.findings for step in compare(PLAN, folder)]

    for findings in found:
        assert not findings["queue"]
        assert not findings["reject"]
        assert findings["unprotected"].stale
    for run in folder.runs():
        workload = make(PLAN, run.workload, run.seed)
        assert len(run.turns) == len(workload.arrivals)
        real, virtual = (figures(r, workload) for r in (run, simulate(run.strategy, workload)))
        print(run.strategy, run.workload, "served", real["served"], "simulated", virtual["served"])
        assert real["served"] > 0


OWN = """
from strategies.queue import Queue

class Mine(Queue):
    "A strategy of one's own."

async def agent(message, history):
    return f"after {len(history)} messages: {message}"
"""


@pytest.mark.slow
def test_an_agent_and_a_strategy_of_ones_own_are_compared_from_ones_own_folder(
    tmp_path: Path,
) -> None:
    (tmp_path / "mine.py").write_text(OWN)
    done = subprocess.run(
        [
            *(sys.executable, "-m", "runner", "compare", "--agent", "mine:agent"),
            *("--strategies", "queue,mine:Mine", "--workloads", "burst", "--seeds", "1"),
            *("--services", "5", "--service-s", "0.01", "--out", "out"),
        ],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "| mine:Mine | 1 | 5 | 0 |" in (tmp_path / "out" / "report.md").read_text()


def test_a_server_that_does_not_start_is_told_and_leaves_no_process(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text(
        "import sys\n"
        "from strategies.queue import Queue\n"
        "class Broken(Queue):\n"
        "    def __init__(self, answer, limits):\n"
        "        super().__init__(answer, limits)\n"
        "        if 'loadtests.commands.compare' not in sys.modules:  # Only in the server.\n"
        "            raise ValueError('no luck')\n"
    )
    done = subprocess.run(
        [
            *(sys.executable, "-m", "runner", "compare", "--workloads", "burst", "--seeds", "1"),
            *("--strategies", "broken:Broken,queue", "--out", "out"),
        ],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )

    assert done.returncode == 1
    assert "no luck" in done.stderr
    assert "Traceback" not in done.stderr
    mine = [p for p in psutil.process_iter(["cwd"]) if str(tmp_path) in str(p.info["cwd"])]
    assert not mine


def locust_alone(workload: str, tmp_path: Path) -> tuple[str, list[UserTurn]]:
    """What Locust says, and the raw samples."""
    target = (
        "runner",
        "serve",
        "loadtests.runs.agent:scheduled",
        "--port",
        "0",
        "--store",
        "memory:",
    )
    with running(target, tmp_path) as server:
        done = subprocess.run(
            [
                *(sys.executable, "-m", "locust", "-f", str(ROOT / "loadtests/locustfile.py")),
                *("--host", f"http://127.0.0.1:{server.port}", "--headless", "--users", "1"),
                *("--workload", workload, "--service-s", "0.03", "--services", "20"),
                *("--raw", str(tmp_path)),
            ],
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
        )

    (raw,) = tmp_path.glob("turns-*.jsonl")
    lines = raw.read_text().splitlines()[1:]
    return done.stdout + done.stderr, [turn_from_list(json.loads(line)) for line in lines]


@pytest.mark.slow
def test_the_locustfile_works_on_its_own_and_tells_refusals_from_failures(tmp_path: Path) -> None:
    said, turns = locust_alone("overload-2", tmp_path)

    assert "TURN" in said
    assert "/chat, refused" in said
    assert "generator lag p99" in said
    assert {tried.status for turn in turns for tried in turn.attempts} >= {200, 503}


@pytest.mark.slow
def test_a_client_that_gives_up_is_told_from_a_connection_that_breaks(tmp_path: Path) -> None:
    said, turns = locust_alone("impatient", tmp_path)

    statuses = {tried.status for turn in turns for tried in turn.attempts}
    assert LEFT in statuses
    assert BROKEN not in statuses
    assert "the connection broke" not in said

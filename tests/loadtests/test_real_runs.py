"""Real servers and a real Locust: the whole way, once, and held against virtual time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from loadtests.compare import Folder, Plan, compare, make
from loadtests.measures import figures
from loadtests.servers import ROOT, running
from loadtests.simulate import simulate

PLAN = Plan(("queue", "reject", "unprotected"), ("burst", "retrying-openai"), 1, 0.05, 30.0)


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


def test_the_locustfile_works_on_its_own(tmp_path: Path) -> None:
    target = ("runner", "serve", "loadtests.agent:scheduled", "--port", "0", "--store", "memory:")
    with running(target, tmp_path) as server:
        done = subprocess.run(
            [
                *(sys.executable, "-m", "locust", "-f", str(ROOT / "loadtests/locustfile.py")),
                *("--host", f"http://127.0.0.1:{server.port}", "--headless", "--users", "1"),
                *("--workload", "overload-2", "--service-s", "0.03", "--services", "20"),
                *("--raw", str(tmp_path)),
            ],
            capture_output=True,
            text=True,
            timeout=60,
        )

    said = done.stdout + done.stderr
    assert "TURN" in said
    assert "/chat, refused" in said
    assert "generator lag p99" in said
    assert len(list(tmp_path.glob("turns-*.jsonl"))) == 1

"""What is to be compared, and the folder in which it is kept."""

from __future__ import annotations

import json
import lzma
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from loadtests.measures.histories import Findings, check
from loadtests.measures.records import SCHEMA, Run, from_line, to_line
from loadtests.workloads import shapes
from loadtests.workloads.traces import TRACE
from loadtests.workloads.workload import Workload

STRATEGIES = ("queue", "lock", "reject", "unprotected")
ALL = tuple(name for name, shape in shapes.SHAPES.items() if not shape.quiet_callers)


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be compared.

    service_s  mean service time of the schedules, seconds.
    services   length of a run, in mean service times.
    agent      somebody's own agent, or "" for the one whose replies prove order.
    folder     where the files of `trace:FILE` workloads are.
    """

    strategies: tuple[str, ...]
    workloads: tuple[str, ...]
    seeds: int
    service_s: float
    services: float
    agent: str = ""
    folder: str = ""


PROFILES: dict[str, Plan] = {
    "smoke": Plan(STRATEGIES, ("burst", "overload-2", "impatient", "hot", "faulty"), 2, 0.06, 60.0),
    "standard": Plan(STRATEGIES, ALL, 10, 0.06, 100.0),
    "full": Plan(STRATEGIES, ALL, 30, 0.1, 300.0),
}


def make(plan: Plan, name: str, seed: int) -> Workload:
    """The workload as this plan has it."""
    made = shapes.make(findable(plan, name), seed, service_s=plan.service_s, services=plan.services)
    return replace(made, name=name)


def findable(plan: Plan, name: str) -> str:
    """The name by which `shapes.make` finds it; a trace's has its path."""
    path = _trace(name)
    return f"{TRACE}{(Path(plan.folder) / path).resolve()}" if name.startswith(TRACE) else name


def _trace(name: str) -> Path:
    return Path(name.removeprefix(TRACE))


class Folder:
    """Where a comparison is kept: its plan and environment, and a line for each run."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def _runs(self) -> Path:
        return self.path / "runs.jsonl"

    @property
    def _packed(self) -> Path:
        """Where runs are that were packed to be kept; new ones stand beside it."""
        return self.path / "runs.jsonl.xz"

    def begin(self, plan: Plan, command: Sequence[str], environment: dict[str, Any]) -> None:
        """Make the folder, or go on with the one that is there. Raises ValueError if it differs.

        A trace is copied into the folder, so that the report needs nothing else.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        about = self.path / "plan.json"
        traces = {name: _trace(name) for name in plan.workloads if name.startswith(TRACE)}
        names = tuple(TRACE + traces[n].name if n in traces else n for n in plan.workloads)
        if len(set(names)) < len(names):
            raise ValueError("two workloads have one name; give their files different ones")
        plan = replace(plan, workloads=names)
        if about.exists():
            if differing := _differing(replace(self.plan(), folder=""), plan):
                raise ValueError(
                    f"{self.path} has a comparison with other {differing}; name another folder: "
                    "--out FOLDER"
                )
            return
        for path in traces.values():
            shutil.copyfile(path, self.path / path.name)
        described = asdict(plan)
        del described["folder"]
        said = {"plan": described, "command": list(command), "environment": environment}
        about.write_text(json.dumps(said, indent=2) + "\n")
        (self.path / "schema.json").write_text(json.dumps(SCHEMA, indent=2) + "\n")

    def about(self) -> dict[str, Any]:
        """What `begin` wrote. Raises ValueError where it is something else."""
        with _expected(f"{self.path}/plan.json", "the plan of a comparison"):
            return dict(json.loads((self.path / "plan.json").read_text()))

    def plan(self) -> Plan:
        with _expected(f"{self.path}/plan.json", "the plan of a comparison"):
            said = self.about()["plan"]
            lists = {name: tuple(said[name]) for name in ("strategies", "workloads")}
            return Plan(**{**said, **lists, "folder": str(self.path)})

    def runs(self) -> list[Run]:
        """All complete runs; the last one where one was repeated. A line that was cut off goes."""
        packed = self._packed
        text = lzma.decompress(packed.read_bytes()).decode() if packed.exists() else ""
        lines = (text + self._whole_lines()).splitlines()
        runs = (self._read(number, line) for number, line in enumerate(lines, 1))
        return list({(run.strategy, run.workload, run.seed): run for run in runs}.values())

    def _read(self, number: int, line: str) -> Run:
        with _expected(f"run {number} in {self._runs}", "the line of a run"):
            return from_line(line)

    def _whole_lines(self) -> str:
        text = self._runs.read_text() if self._runs.exists() else ""
        whole = text[: text.rfind("\n") + 1]
        if whole != text:
            self._runs.write_text(whole)
        return whole

    def pack(self) -> None:
        """Keep all runs, each once, in a compressed file instead."""
        lines = "".join(to_line(run) + "\n" for run in self.runs())
        self._packed.write_bytes(lzma.compress(lines.encode(), preset=9 | lzma.PRESET_EXTREME))
        self._runs.unlink(missing_ok=True)

    def add(self, runs: Sequence[Run]) -> None:
        """Keep the runs of one batch, in one write."""
        with self._runs.open("a") as file:
            file.write("".join(to_line(run) + "\n" for run in runs))


@contextmanager
def _expected(place: str, what: str) -> Iterator[None]:
    """What is wrong with a file is said in our words, as a ValueError."""
    try:
        yield
    except (ValueError, LookupError, TypeError) as error:
        raise ValueError(f"{place} is not {what}") from error


def _differing(one: Plan, other: Plan) -> str:
    """The fields in which they differ, such as `strategies, seeds`."""
    names = (field.name for field in fields(Plan))
    return ", ".join(name for name in names if getattr(one, name) != getattr(other, name))


def findings_by_strategy(
    runs: Sequence[Run], workload_of: Callable[[Run], Workload]
) -> dict[str, Findings]:
    """All faults of each strategy, added up."""
    found: dict[str, Findings] = {}
    for run in runs:
        before = found.get(run.strategy, Findings())
        found[run.strategy] = before + check(run, workload_of(run))
    return found

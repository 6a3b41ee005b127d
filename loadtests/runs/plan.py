"""What is to be compared, and the folder in which it is kept.

plan.json    what is compared, by which command, at which commits, on which machine
runs.jsonl   the raw data, a line for each run
figures.csv  what each run came to (`loadtests.report.rows`); the report needs no more
digest.txt   which raw data that was, for where they are kept no longer
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from loadtests.measures.records import SCHEMA, Run, from_line, to_line
from loadtests.workloads import shapes
from loadtests.workloads.traces import TRACE
from loadtests.workloads.workload import Workload

MEMORY, POSTGRES = "memory", "postgresql"
STRATEGIES = ("queue", "lock", "reject", "unprotected")
BUILT_IN = ("queue", "lock", "reject")
ALL = tuple(name for name, shape in shapes.SHAPES.items() if not shape.quiet_callers)
CHOSEN = (
    *("steady-0.8", "overload-1.2", "overload-2", "overload-4", "silent", "tight"),
    *("spike", "retrying-openai", "hot", "heavy-tail", "fifty-2", "azure-conv-2"),
)
"""A dozen, chosen before they were measured, with service times that the server is small beside."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be compared.

    service_s  mean service time of the schedules, seconds.
    services   length of a run, in mean service times.
    agent      somebody's own agent, or "" for the one whose replies prove order.
    folder     where the files of `trace:FILE` workloads are.
    store      MEMORY, or POSTGRES: which server that is, is nobody's who reads the report.
    processes  so many serve each run, and share its store.
    """

    strategies: tuple[str, ...]
    workloads: tuple[str, ...]
    seeds: int
    service_s: float
    services: float
    agent: str = ""
    folder: str = ""
    store: str = MEMORY
    processes: int = 1


PROFILES: dict[str, Plan] = {
    "smoke": Plan(STRATEGIES, ("burst", "overload-2", "impatient", "hot", "faulty"), 2, 0.06, 60.0),
    "standard": Plan(BUILT_IN, CHOSEN, 10, 0.3, 60.0),
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
    def figures(self) -> Path:
        return self.path / "figures.csv"

    @property
    def digest(self) -> Path:
        return self.path / "digest.txt"

    @property
    def has_raw_data(self) -> bool:
        """Whether there is a run; where there is none, `figures` may tell what they came to."""
        return self._runs.exists() and bool(self._whole_lines())

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
            self._go_on(plan, environment)
            return
        for path in traces.values():
            shutil.copyfile(path, self.path / path.name)
        described = asdict(plan)
        del described["folder"]
        said = {"plan": described, "command": list(command), "environment": environment}
        self._write_about({**said, "went_on_at": [], "corrections": []})
        (self.path / "schema.json").write_text(json.dumps(SCHEMA, indent=2) + "\n")

    def _go_on(self, plan: Plan, environment: dict[str, Any]) -> None:
        """Hold the folder against the plan, and note another commit that its runs come from."""
        if differing := _differing(replace(self.plan(), folder=""), plan):
            raise ValueError(
                f"{self.path} has a comparison with other {differing}; name another folder: "
                "--out FOLDER"
            )
        if self.figures.exists() and not self.has_raw_data:
            raise ValueError(
                f"{self.path} has the figures of a comparison without its raw data, and cannot go "
                "on; name another folder: --out FOLDER"
            )
        said, commit = self.about(), environment.get("commit", "")
        others = list(said.get("went_on_at", []))
        if commit not in (said["environment"].get("commit", ""), *others):
            self._write_about({**said, "went_on_at": [*others, commit]})

    def _write_about(self, said: dict[str, Any]) -> None:
        (self.path / "plan.json").write_text(json.dumps(said, indent=2) + "\n")

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
        return list({key_of(run): run for run in self._all()}.values())

    def repeats(self) -> Counter[tuple[str, str, int]]:
        """Strategy, workload and seed -> how often the run was made again, its line replaced."""
        lines = Counter(map(key_of, self._all()))
        return lines - Counter(dict.fromkeys(lines, 1))

    def _all(self) -> Iterator[Run]:
        for number, line in enumerate(self._whole_lines().splitlines(), 1):
            yield self._read(number, line)

    def describe_raw_data(self) -> str:
        """The digest of the lines in order, which `LC_ALL=C sort runs.jsonl | sha256sum` prints."""
        lines = sorted(self._whole_lines().encode().splitlines(keepends=True))
        return f"{sha256(b''.join(lines)).hexdigest()}  {len(lines)} lines of runs.jsonl, sorted\n"

    def _read(self, number: int, line: str) -> Run:
        with _expected(f"run {number} in {self._runs}", "the line of a run"):
            return from_line(line)

    def _whole_lines(self) -> str:
        text = self._runs.read_text() if self._runs.exists() else ""
        whole = text[: text.rfind("\n") + 1]
        if whole != text:
            self._runs.write_text(whole)
        return whole

    def add(self, runs: Sequence[Run]) -> None:
        """Keep the runs of one batch, in one write."""
        with self._runs.open("a") as file:
            file.write("".join(to_line(run) + "\n" for run in runs))


def key_of(run: Run) -> tuple[str, str, int]:
    """What a comparison has once."""
    return run.strategy, run.workload, run.seed


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

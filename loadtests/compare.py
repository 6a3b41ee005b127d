"""Real runs: a server process for each strategy, workload and seed, driven by Locust.

The runs of one workload and seed are at the same time, one for each strategy, and
begin when all of their processes are up: the machine's good and bad minutes fall on
all alike. Each run is one line of `runs.jsonl`, appended when it is complete, so a
comparison that was cut off goes on where it was.
"""

from __future__ import annotations

import json
import lzma
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote
from urllib.request import urlopen

from loadtests import workloads
from loadtests.histories import Findings, check
from loadtests.measures import LAG_LIMIT_S, lag_s
from loadtests.records import SCHEMA, Call, History, Run, from_line, to_line, turn_from_list
from loadtests.servers import ROOT, Served, python_path, running
from loadtests.simulate import ALIASES, summary
from loadtests.workloads import Workload

STRATEGIES = ("queue", "lock", "reject", "unprotected")
ALL = tuple(workloads.SHAPES)
TRACE = "trace:"
SLACK_S = 60.0
"""A run that takes so much longer than its schedule and its clients' patience has failed."""


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

ABOUT_PROFILES = {
    "smoke": "about 2 minutes: does everything work, is anything lost",
    "standard": "about 30 minutes: ten seeds, enough for intervals",
    "full": "about ten hours: thirty seeds, longer runs",
}


class RunFailed(RuntimeError):
    """A server or the generator did not do its part; the message says which and why."""


@dataclass(frozen=True, slots=True)
class Step:
    """Progress: so many of so many batches are done, and about so many seconds remain."""

    done: int
    of: int
    left_s: float
    workload: str
    seed: int
    findings: dict[str, Findings]


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
        plan = replace(plan, workloads=names)
        if about.exists():
            if replace(self.plan(), folder="") != plan:
                raise ValueError(
                    f"{self.path} has a comparison with another plan; take another folder"
                )
            return
        for path in traces.values():
            shutil.copyfile(path, self.path / path.name)
        described = asdict(plan)
        del described["folder"]
        fields = {"plan": described, "command": list(command), "environment": environment}
        about.write_text(json.dumps(fields, indent=2) + "\n")
        (self.path / "schema.json").write_text(json.dumps(SCHEMA, indent=2) + "\n")

    def about(self) -> dict[str, Any]:
        """What `begin` wrote."""
        return json.loads((self.path / "plan.json").read_text())  # type: ignore[no-any-return]

    def plan(self) -> Plan:
        fields = self.about()["plan"]
        lists = {name: tuple(fields[name]) for name in ("strategies", "workloads")}
        return Plan(**{**fields, **lists, "folder": str(self.path)})

    def runs(self) -> list[Run]:
        """All complete runs; the last one where one was repeated. A line that was cut off goes."""
        packed = self._packed
        text = lzma.decompress(packed.read_bytes()).decode() if packed.exists() else ""
        runs = map(from_line, (text + self._whole_lines()).splitlines())
        return list({(run.strategy, run.workload, run.seed): run for run in runs}.values())

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


def compare(plan: Plan, folder: Folder) -> Iterator[Step]:
    """Do all runs of the plan that the folder does not have yet; one step for each batch.

    A batch with a run whose generator was late is repeated as a whole, for its runs are
    to be at the same time.
    """
    batches = list(_missing(plan, folder.runs()))
    took: list[tuple[float, float]] = []
    for done, (name, seed, strategies) in enumerate(batches, 1):
        began = time.monotonic()
        runs = run_batch(plan, strategies, name, seed)
        folder.add(runs)
        took.append((_expected_s(plan, name, seed), time.monotonic() - began))
        rest = sum(_expected_s(plan, *batch[:2]) for batch in batches[done:])
        pace = sum(real for _, real in took) / sum(expected for expected, _ in took)
        workload = make(plan, name, seed)
        findings = {run.strategy: check(run, workload) for run in runs}
        yield Step(done, len(batches), rest * pace, name, seed, findings)


def _missing(plan: Plan, runs: Sequence[Run]) -> Iterator[tuple[str, int, list[str]]]:
    """Workload, seed and strategies of each batch that is still to be done."""
    there = {(run.strategy, run.workload, run.seed) for run in runs}
    late = {(run.workload, run.seed) for run in runs if lag_s(run) > LAG_LIMIT_S}
    for seed in range(1, plan.seeds + 1):
        for name in plan.workloads:
            again = (name, seed) in late
            to_do = [s for s in plan.strategies if again or (s, name, seed) not in there]
            if to_do:
                yield name, seed, to_do


def make(plan: Plan, name: str, seed: int) -> Workload:
    """The workload as this plan has it."""
    made = workloads.make(
        _findable(plan, name), seed, service_s=plan.service_s, services=plan.services
    )
    return replace(made, name=name)


def _findable(plan: Plan, name: str) -> str:
    """The name by which `workloads.make` finds it; a trace's has its path."""
    path = _trace(name)
    return f"{TRACE}{(Path(plan.folder) / path).resolve()}" if name.startswith(TRACE) else name


def _trace(name: str) -> Path:
    return Path(name.removeprefix(TRACE))


def _expected_s(plan: Plan, name: str, seed: int) -> float:
    workload = make(plan, name, seed)
    return workload.horizon_s + workload.clients.patience * workload.service_s / 4 + 3.0


def run_batch(plan: Plan, strategies: Sequence[str], name: str, seed: int) -> list[Run]:
    """One run for each of the strategies, at the same time. Raises RunFailed."""
    workload = make(plan, name, seed)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        start = folder / "start"
        with ThreadPoolExecutor(len(strategies)) as pool:
            opened = [pool.submit(_Trial, plan, workload, s, folder, start) for s in strategies]
            trials = [stack.enter_context(future.result()) for future in opened]
            _wait_until_ready(folder, trials)
            start.touch()
            return list(pool.map(_Trial.finish, trials))


def _wait_until_ready(folder: Path, trials: Sequence[_Trial]) -> None:
    until = time.monotonic() + SLACK_S
    while len(list(folder.glob("start-*.ready"))) < len(trials):
        for trial in trials:
            trial.check_alive()
        if time.monotonic() > until:
            raise RunFailed("Locust was not ready in time")
        time.sleep(0.02)


class _Trial:
    """A server with one strategy, and the generator in front of it."""

    def __init__(
        self, plan: Plan, workload: Workload, strategy: str, folder: Path, start: Path
    ) -> None:
        self._plan, self._workload, self._strategy = plan, workload, strategy
        self._folder = folder / strategy.replace(":", "-")
        self._folder.mkdir()
        self._calls = self._folder / "calls.jsonl"
        self._calls.touch()
        self._stack = ExitStack()
        self._server = self._stack.enter_context(running(self._serve(), self._folder))
        self._locust = self._drive(self._server, start)

    def __enter__(self) -> _Trial:
        return self

    def __exit__(self, *error: object) -> None:
        if self._locust.poll() is None:
            self._locust.kill()
        self._locust.communicate()
        self._stack.close()

    def _serve(self) -> list[str]:
        factory, options = "scheduled", {"backends": str(self._workload.backends or 0)}
        if self._plan.agent:
            factory, options = "recorded", {"target": self._plan.agent}
        options["log"] = str(self._calls)
        settings = {
            "strategy.max_running": str(self._workload.max_running),
            **{f"agent.options.{name}": value for name, value in options.items()},
        }
        assignments = [word for item in settings.items() for word in ("--set", "=".join(item))]
        name = ALIASES.get(self._strategy, self._strategy)
        return [
            *("runner", "serve", f"loadtests.agent:{factory}", "--strategy", name),
            *("--port", "0", "--store", "memory:", "--log", "json", *assignments),
        ]

    def _drive(self, server: Served, start: Path) -> subprocess.Popen[str]:
        options = {
            "--host": f"http://127.0.0.1:{server.port}",
            "--workload": _findable(self._plan, self._workload.name),
            "--seed": str(self._workload.seed),
            "--service-s": repr(self._plan.service_s),
            "--services": repr(self._plan.services),
            "--raw": str(self._folder),
            "--start-file": str(start),
            "--users": "1",
            "--loglevel": "WARNING",
        }
        words = [word for item in options.items() for word in item]
        command = ["-m", "locust", "-f", str(ROOT / "loadtests" / "locustfile.py")]
        return subprocess.Popen(
            [sys.executable, *command, "--headless", "--only-summary", *words],
            env={**os.environ, "PYTHONPATH": python_path()},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def check_alive(self) -> None:
        if self._locust.poll() is not None:
            said = self._locust.communicate()[0]
            raise RunFailed(f"Locust ended before the run:\n{said[-2000:]}")

    def finish(self) -> Run:
        """Wait for the generator, then ask the server what became of everything, and end it."""
        limit_s = self._workload.horizon_s + SLACK_S
        limit_s += 11 * self._workload.clients.patience * self._workload.service_s
        try:
            said = self._locust.communicate(timeout=limit_s)[0]
        except subprocess.TimeoutExpired:
            raise RunFailed(f"{self._strategy}: Locust did not end") from None
        raw = sorted(self._folder.glob("turns-*.jsonl"))
        if not raw:
            raise RunFailed(f"{self._strategy}: Locust wrote nothing:\n{said[-2000:]}")
        head, *lines = raw[0].read_text().splitlines()
        agree = self._settled()
        run = Run(
            strategy=self._strategy,
            workload=self._workload.name,
            seed=self._workload.seed,
            service_s=self._workload.service_s,
            services=self._plan.services,
            turns=tuple(turn_from_list(json.loads(line)) for line in lines),
            calls=(),
            histories=tuple(self._histories()),
            exit_status=self._end(),
            counters_agree=agree,
            refused_by_pool=json.loads(head)["refused_by_pool"],
        )
        return replace(run, calls=tuple(self._read_calls(json.loads(head)["began"])))

    def _settled(self) -> bool:
        """Whether all turns have ended soon and the counters add up (I-9)."""
        until = time.monotonic() + SLACK_S
        while True:
            health = self._get("/health")
            counts = dict(health["turns"])
            accepted = counts.pop("accepted")
            counts.pop("refused_at_once")
            open_now = health["queue_depth"] + health["running"]
            if not open_now or time.monotonic() > until:
                return bool(not open_now and accepted == sum(counts.values()))
            time.sleep(0.05)

    def _histories(self) -> Iterator[History]:
        for conversation in sorted({a.conversation for a in self._workload.arrivals}):
            path = f"/history?count=0&conversation_id={quote(conversation)}"
            messages = self._get(path)["messages"]
            yield summary(conversation, messages, chain=not self._plan.agent)

    def _get(self, path: str) -> dict[str, Any]:
        with urlopen(f"http://127.0.0.1:{self._server.port}{path}", timeout=30) as response:
            return json.loads(response.read())  # type: ignore[no-any-return]

    def _end(self) -> int:
        self._server.process.send_signal(signal.SIGTERM)
        try:
            return self._server.process.wait(SLACK_S)
        except subprocess.TimeoutExpired:
            raise RunFailed(f"{self._strategy}: the server did not end") from None

    def _read_calls(self, began_s: float) -> Iterator[Call]:
        for line in self._calls.read_text().splitlines():
            message, conversation, call_began_s, ended_s, ended = json.loads(line)
            yield Call(message, conversation, call_began_s - began_s, ended_s - began_s, ended)


def findings_by_strategy(
    runs: Sequence[Run], workload_of: Callable[[Run], Workload]
) -> dict[str, Findings]:
    """All faults of each strategy, added up."""
    found: dict[str, Findings] = {}
    for run in runs:
        before = found.get(run.strategy, Findings())
        found[run.strategy] = before + check(run, workload_of(run))
    return found

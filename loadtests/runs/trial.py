"""One batch of real runs: a server for each strategy, and Locust in front of each."""

from __future__ import annotations

import json
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote
from urllib.request import urlopen

from loadtests.controls import dotted
from loadtests.measures.records import Call, History, Run, turn_from_list
from loadtests.runs.plan import Plan, findable, make
from loadtests.runs.servers import ROOT, Served, environment, running
from loadtests.simulation.simulate import summary
from loadtests.workloads.workload import Workload
from runner import start

SLACK_S = 60.0
"""A run that takes so much longer than its schedule and its clients' patience has failed."""


class RunFailed(RuntimeError):
    """A server or the generator did not do its part; the message says which and why."""


def run_batch(plan: Plan, strategies: Sequence[str], name: str, seed: int) -> list[Run]:
    """One run for each of the strategies, at the same time. Raises RunFailed."""
    workload = make(plan, name, seed)
    if any(arrival.caller for arrival in workload.arrivals):
        raise RunFailed(f"{name} has several callers, and a real run has one: simulate it")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        start = folder / "start"
        with ThreadPoolExecutor(len(strategies)) as pool:
            made = (_Trial(plan, workload, strategy, folder, start) for strategy in strategies)
            trials = [stack.enter_context(trial) for trial in made]
            list(pool.map(_Trial.begin, trials))
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
        self._calls = self._folder / "calls.jsonl"
        self._start = start
        self._stack = ExitStack()

    def __enter__(self) -> _Trial:
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def begin(self) -> None:
        """Start the server and then the generator, which waits for the start file."""
        self._folder.mkdir()
        self._calls.touch()
        errors = self._stack.enter_context((self._folder / "errors.log").open("w+"))
        try:
            self._server = self._stack.enter_context(
                running(self._serve(), self._folder, errors=errors)
            )
        except RuntimeError as error:
            errors.seek(0)
            raise RunFailed(f"{self._strategy}: {error}\n{errors.read()[-2000:]}") from error
        self._locust = self._drive(self._server)
        self._stack.callback(self._end_locust)

    def _end_locust(self) -> None:
        if self._locust.poll() is None:
            self._locust.kill()
        self._locust.wait()
        if self._locust.stdout is not None:
            self._locust.stdout.close()

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
        return [
            *("runner", "serve", f"loadtests.runs.agent:{factory}", "--strategy"),
            dotted(self._strategy),
            *("--port", "0", "--store", "memory:", "--log", "json", *assignments),
        ]

    def _drive(self, server: Served) -> subprocess.Popen[str]:
        options = {
            "--host": f"http://127.0.0.1:{server.port}",
            "--workload": findable(self._plan, self._workload.name),
            "--seed": str(self._workload.seed),
            "--service-s": repr(self._plan.service_s),
            "--services": repr(self._plan.services),
            "--raw": str(self._folder),
            "--start-file": str(self._start),
            "--users": "1",
            "--loglevel": "WARNING",
        }
        words = [word for item in options.items() for word in item]
        file = str(ROOT / "loadtests" / "locustfile.py")
        return subprocess.Popen(
            start.command("locust", "-f", file, "--headless", "--only-summary", *words),
            cwd=self._folder,  # A user's own locust.conf is not meant for this.
            env=environment(),
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
        patience_s = 11 * self._workload.clients.patience * self._workload.service_s
        limit_s += self._workload.longest * patience_s
        try:
            said = self._locust.communicate(timeout=limit_s)[0]
        except subprocess.TimeoutExpired:
            raise RunFailed(f"{self._strategy}: Locust did not end") from None
        raw = sorted(self._folder.glob("turns-*.jsonl"))
        if not raw:
            raise RunFailed(f"{self._strategy}: Locust wrote nothing:\n{said[-2000:]}")
        first, *lines = raw[0].read_text().splitlines()
        head = json.loads(first)
        if len(lines) + head["refused_by_pool"] != len(self._workload.arrivals):
            raise RunFailed(f"{self._strategy}: Locust lost turns:\n{said[-2000:]}")
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
            refused_by_pool=head["refused_by_pool"],
        )
        return replace(run, calls=tuple(self._read_calls(head["began"])))

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

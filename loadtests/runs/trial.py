"""One batch of real runs: for each strategy a server, or several that share, and Locust."""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from loadtests.controls import dotted
from loadtests.measures import attempts
from loadtests.measures.attempts import LoggedCall
from loadtests.measures.records import Run, UserTurn, turn_from_list
from loadtests.runs.plan import Plan, findable, make
from loadtests.runs.processes import SLACK_S, Processes, RunFailed
from loadtests.runs.servers import ROOT, environment
from loadtests.workloads.workload import Workload
from runner import start


def run_batch(
    plan: Plan, strategies: Sequence[str], name: str, seed: int, server: str = ""
) -> list[Run]:
    """One run for each of the strategies, at the same time. Raises RunFailed.

    server  the URL of the Postgres server on which each has a database, or "" for none.
    """
    workload = make(plan, name, seed)
    if any(arrival.caller for arrival in workload.arrivals):
        raise RunFailed(f"{name} has several callers, and a real run has one: simulate it")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        start = folder / "start"
        with ThreadPoolExecutor(len(strategies)) as pool:
            made = (_Trial(plan, workload, one, server, folder, start) for one in strategies)
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
    """A server with one strategy, or several that share, and the generator in front."""

    def __init__(
        self,
        plan: Plan,
        workload: Workload,
        strategy: str,
        server: str,
        folder: Path,
        start: Path,
    ) -> None:
        self._plan, self._workload, self._strategy = plan, workload, strategy
        self._server = server
        self._folder = folder / strategy.replace(":", "-")
        self._calls = self._folder / "calls.jsonl"
        self._start = start
        self._stack = ExitStack()

    def __enter__(self) -> _Trial:
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def begin(self) -> None:
        """Start what serves and then the generator, which waits for the start file."""
        self._folder.mkdir()
        self._calls.touch()
        command, count = self._serve(self._store()), self._plan.processes
        self._processes = Processes(command, count, self._folder, self._stack)
        try:
            self._processes.start()
        except RunFailed as error:
            raise RunFailed(f"{self._strategy}: {error}") from error
        self._locust = self._drive(self._processes.urls)
        self._stack.callback(self._end_locust)

    def _store(self) -> str:
        if not self._server:
            return "memory:"
        from loadtests.runs import databases  # Needs what only the extra `postgres` brings.

        return self._stack.enter_context(databases.fresh(self._server))

    def _end_locust(self) -> None:
        if self._locust.poll() is None:
            self._locust.kill()
        self._locust.wait()
        if self._locust.stdout is not None:
            self._locust.stdout.close()

    def _serve(self, store: str) -> list[str]:
        factory, options = "scheduled", {"backends": str(self._share(self._workload.backends or 0))}
        if self._plan.agent:
            factory, options = "recorded", {"target": self._plan.agent}
        options["log"] = str(self._calls)
        settings = {
            "strategy.max_running": str(self._share(self._workload.max_running)),
            **{f"agent.options.{name}": value for name, value in options.items()},
        }
        assignments = [word for item in settings.items() for word in ("--set", "=".join(item))]
        return [
            *("runner", "serve", f"loadtests.runs.agent:{factory}", "--strategy"),
            dotted(self._strategy),
            *("--port", "0", "--store", store, "--log", "json", *assignments),
        ]

    def _share(self, slots: int) -> int:
        """Of one process, so that all together have as many as a single one would."""
        return max(slots // self._plan.processes, min(slots, 1))

    def _drive(self, urls: Sequence[str]) -> subprocess.Popen[str]:
        options = {
            "--host": urls[0],
            "--also": ",".join(urls[1:]),
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
        """Wait for the generator, then ask what became of everything, and end what serves."""
        head, turns = self._samples()
        agree = self._processes.are_settled()
        conversations = sorted({arrival.conversation for arrival in self._workload.arrivals})
        histories = self._processes.histories(conversations, chain=not self._plan.agent)
        run = Run(
            strategy=self._strategy,
            workload=self._workload.name,
            seed=self._workload.seed,
            service_s=self._workload.service_s,
            services=self._plan.services,
            turns=turns,
            calls=(),
            histories=tuple(histories),
            exit_status=self._end(),
            counters_agree=agree,
            refused_by_pool=head["refused_by_pool"],
        )
        # Read when the servers have ended, for calls that this stopped are in the log then.
        logged = list(self._read_calls(head["began"]))
        calls = attempts.of_calls(run.turns, logged)
        return replace(
            run,
            calls=calls,
            histories=attempts.of_histories(run.histories, calls),
            crossings=attempts.crossings(logged),
        )

    def _samples(self) -> tuple[dict[str, Any], tuple[UserTurn, ...]]:
        """What the generator has written when it has ended: its head, and all turns."""
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
        head = dict(json.loads(first))
        if len(lines) + head["refused_by_pool"] != len(self._workload.arrivals):
            raise RunFailed(f"{self._strategy}: Locust lost turns:\n{said[-2000:]}")
        return head, tuple(turn_from_list(json.loads(line)) for line in lines)

    def _end(self) -> int:
        try:
            return self._processes.end()
        except RunFailed as error:
            raise RunFailed(f"{self._strategy}: {error}") from error

    def _read_calls(self, began_s: float) -> Iterator[LoggedCall]:
        for line in self._calls.read_text().splitlines():
            call = LoggedCall(*json.loads(line))
            yield replace(
                call,
                began_s=call.began_s - began_s,
                ended_s=call.ended_s - began_s,
                called_s=call.called_s - began_s,
            )

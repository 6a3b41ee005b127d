"""Drives a server with a workload, by Locust: on its own with Locust's page, or headless.

    locust -f loadtests/locustfile.py --host http://127.0.0.1:8080 --workload overload-2

Arrivals are open: one Locust user starts a greenlet at each instant of a schedule
that was computed before, so a slow server does not slow its clients down. Each
user's turn, retries included, is one `TURN` event, whose time counts from when
it was due. A refusal is an answer and no failure: it stands under a name of its own.

Statistics on the page are Locust's, with rounded percentiles. With `--raw FOLDER`
each process writes every sample to a file of its own, and these are what the
reports are made of. The generator's lag (how late it began its turns) is judged
at the end: more than 10 ms at its 99th percentile, and the run is not to be trusted.

Importing Locust patches this process (gevent), so nothing else imports this file.
"""

from __future__ import annotations

import json
import os
import time
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from typing import Any

import gevent
from gevent.pool import Pool
from locust import FastHttpUser, events, task
from locust.contrib.fasthttp import FastHttpSession
from locust.env import Environment

from loadtests.measures.figures import LAG_LIMIT_S, percentile
from loadtests.measures.records import BROKEN, LEFT, UserTurn, turns_to_lines
from loadtests.workloads import shapes
from loadtests.workloads.users import Answer, Pause, Send, take_turns
from loadtests.workloads.workload import Workload

MOST_OPEN = 5_000
"""Users' turns under way at once; one that is due beyond it is counted and not sent."""


@events.init_command_line_parser.add_listener  # type: ignore[untyped-decorator]
def add_options(parser: ArgumentParser) -> None:
    group = parser.add_argument_group("Turnline")
    group.add_argument("--workload", default="steady-0.5", help=", ".join(shapes.NAMES))
    group.add_argument("--seed", type=int, default=1, help="of the schedule")
    group.add_argument("--service-s", type=float, default=0.1, help="mean service time, seconds")
    group.add_argument("--services", type=float, default=100.0, help="length, in service times")
    group.add_argument("--also", default="", help="further processes: asked in turn with --host")
    group.add_argument("--token", default="", help="if the server wants one")
    group.add_argument("--raw", default="", help="folder for a file of every sample")
    group.add_argument("--start-file", default="", help="wait for this file before the first turn")


class Arrivals(FastHttpUser):
    """The one user: it starts everybody's turns when they are due."""

    fixed_count = 1

    @task
    def follow_the_schedule(self) -> None:
        options = self.environment.parsed_options
        workload = shapes.make(
            options.workload,
            options.seed,
            service_s=options.service_s,
            services=options.services,
        )
        self.client.get("/health", name="/health, to warm up")
        schedule = _Schedule(self.environment, workload, _hosts(self.host, options.also), options)
        _wait_for(options)
        schedule.run()
        self.environment.runner.quit()


class _Schedule:
    """One run: the turns under way, and those that have ended."""

    def __init__(
        self, environment: Environment, workload: Workload, hosts: Sequence[str], options: Any
    ) -> None:
        self._environment = environment
        self._workload = workload
        self._following = workload.following
        self._hosts = cycle(hosts)
        self._options = options
        self._pool = Pool(MOST_OPEN)
        self._sessions: dict[tuple[str, float], list[FastHttpSession]] = {}
        self._ended: list[UserTurn] = []
        self._refused = 0
        self._began = 0.0

    def run(self) -> None:
        self._began = time.monotonic()
        for number, arrival in enumerate(self._workload.arrivals):
            if arrival.after is not None:
                continue  # Its user sends it.
            gevent.sleep(max(0.0, arrival.due_s - self._clock()))
            if self._pool.full():
                self._refuse(number)
            else:
                self._pool.spawn(self._take_turns, number)
        self._pool.join()
        self._write()
        self._judge()

    def _clock(self) -> float:
        return time.monotonic() - self._began

    def _refuse(self, number: int | None) -> None:
        """Count this turn and all that its user would have sent after it."""
        while number is not None:
            self._refused += 1
            number = self._following.get(number)

    def _take_turns(self, number: int) -> None:
        conduct = take_turns(self._workload, number, self._clock, self._following)
        told: Answer | None = None
        while True:
            try:
                step = conduct.send(told)
            except StopIteration as end:
                for turn in end.value:
                    self._end(turn)
                return
            told = self._do(step)

    def _do(self, step: Send | Pause) -> Answer | None:
        if isinstance(step, Pause):
            gevent.sleep(step.seconds)
            return None
        return self._send(step)

    def _send(self, step: Send) -> Answer:
        headers = {"Content-Type": "application/json"}
        if step.deadline_s is not None:
            headers["Turn-Deadline-Ms"] = str(max(1, round(step.deadline_s * 1000)))
        if self._options.token:
            headers["Authorization"] = f"Bearer {self._options.token}"
        body = json.dumps({"message": step.message, "conversation_id": step.conversation})
        with self._session(step.give_up_s) as session:
            with session.post("/chat", data=body, headers=headers, catch_response=True) as response:
                answer = _read(response)
                _name(response, answer)
            return answer

    @contextmanager
    def _session(self, give_up_s: float) -> Iterator[FastHttpSession]:
        """A connection whose silence for `give_up_s` is the client's leaving: it is closed then.

        One turn at a time has it, so that no request waits for another in the generator.
        """
        key = next(self._hosts), give_up_s
        free = self._sessions.setdefault(key, [])
        session = free.pop() if free else self._connect(*key)
        yield session
        free.append(session)

    def _connect(self, host: str, give_up_s: float) -> FastHttpSession:
        return FastHttpSession(
            base_url=host,
            request_event=self._environment.events.request,
            user=None,
            network_timeout=give_up_s,
            connection_timeout=give_up_s,
            max_retries=0,
        )

    def _end(self, turn: UserTurn) -> None:
        self._ended.append(turn)
        answered = turn.answer is not None
        self._environment.events.request.fire(  # type: ignore[no-untyped-call]
            request_type="TURN",
            name=self._workload.name,
            response_time=(turn.attempts[-1].ended_s - turn.due_s) * 1000,
            response_length=0,
            exception=None if answered else _Unanswered(f"status {turn.attempts[-1].status}"),
            context={},
        )

    def _write(self) -> None:
        if not self._options.raw:
            return
        path = Path(self._options.raw) / f"turns-{os.getpid()}.jsonl"
        head = {"began": self._began, "refused_by_pool": self._refused}
        path.write_text(json.dumps(head) + "\n" + turns_to_lines(self._ended))

    def _judge(self) -> None:
        lag_s = percentile([turn.lag_s for turn in self._ended], 0.99)
        verdict = "trust it" if lag_s <= LAG_LIMIT_S else "DO NOT TRUST this run"
        print(f"generator lag p99 {lag_s * 1000:.1f} ms: {verdict}", flush=True)
        if self._refused:
            print(f"{self._refused} turns were not sent: {MOST_OPEN} were open", flush=True)


def _hosts(host: str | None, also: str) -> list[str]:
    """Each request goes to the next of them, a retry too."""
    return [each for each in (host or "", *also.split(",")) if each]


class _Unanswered(Exception):
    """The user went away without an answer."""


def _read(response: Any) -> Answer:
    if not response.status_code:
        return Answer(LEFT if _timed_out(response.error) else BROKEN)
    try:
        body = json.loads(response.text)
    except ValueError:
        return Answer(BROKEN)
    turn_id = body.get("turn_id") or ""
    if response.status_code == 200:
        waited_s, ran_s = body["waited_ms"] / 1000, body["ran_ms"] / 1000
        return Answer(200, body.get("turn") or 0, waited_s, ran_s, turn_id=turn_id)
    hint = body.get("retry_after_s")
    return Answer(response.status_code, retry_after_s=hint, turn_id=turn_id)


def _timed_out(error: BaseException | None) -> bool:
    """Whether the silence of `give_up_s` ended it; the HTTP client wraps what the socket raised."""
    return isinstance(error, TimeoutError) or isinstance(
        getattr(error, "original", None), TimeoutError
    )


def _name(response: Any, answer: Answer) -> None:
    """A name of its own for each kind of answer, so that refusals are not in the median."""
    if answer.status == 200:
        response.request_meta["name"] = "/chat"
    elif answer.status == BROKEN:
        response.failure("the connection broke")
        return
    else:
        what = "given up by the client" if answer.status == LEFT else f"refused {answer.status}"
        response.request_meta["name"] = f"/chat, {what}"
    response.success()


def _wait_for(options: Any) -> None:
    """Say that this process is ready, and begin when others are too."""
    if not options.start_file:
        return
    start = Path(options.start_file)
    start.with_name(f"{start.name}-{os.getpid()}.ready").touch()
    while not start.exists():
        gevent.sleep(0.01)

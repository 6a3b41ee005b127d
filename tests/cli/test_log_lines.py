"""What is logged, checked in a process of its own, for logging belongs to the process."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import runner
from tests.support.client import PATIENCE_S

START = """
import logging, structlog, sys, warnings
from runner.agents.base import CURRENT, CurrentTurn
from runner.settings import ObservabilitySettings
from runner.telemetry.log import configure_logging, log_turn
from runner.turns.origin import Origin
from strategies import AgentFailed, ServerFull, State, Turn

class Ticket:
    waited_s, ran_s, state = 0.25, 1.5, State.ANSWERED

def log(message="hi", error=None, log_messages=False, ticket=Ticket()):
    turn = Turn("t1", "c1", message)
    log_turn(turn, strategy="queue", ticket=ticket, error=error, log_messages=log_messages)

def failed(cause):
    try:
        try:
            raise cause
        except BaseException as error:
            raise AgentFailed from error
    except AgentFailed as error:
        return error

configure_logging(ObservabilitySettings(log=sys.argv[1]))
"""


TIME = re.compile(r"(\d{4}-\d\d-\d\dT)?\d\d:\d\d:\d\d(\.\d{6}Z)?")


def logged(code: str, form: str = "json") -> str:
    """What the code leaves on stderr."""
    done = subprocess.run(
        [sys.executable, "-c", START + code, form],
        cwd=Path(runner.__file__).parents[1],
        capture_output=True,
        timeout=PATIENCE_S,
    )
    assert done.returncode == 0, done.stderr
    return done.stderr.decode()


def entry(code: str) -> dict[str, Any]:
    (line,) = logged(code).splitlines()
    content: dict[str, Any] = json.loads(line)
    return content


def test_an_answered_turn_is_one_line_without_its_text() -> None:
    found = entry("log('a secret')")
    del found["timestamp"]
    assert found == {
        "event": "turn ended",
        "level": "info",
        "turn_id": "t1",
        "conversation_id": "c1",
        "strategy": "queue",
        "waited_ms": 250,
        "ran_ms": 1500,
        "outcome": "answered",
    }


def test_a_line_ties_the_turn_to_its_request_and_its_trace() -> None:
    found = entry(
        "origin = Origin('r1', 'ann@10.0.0.7', '00-' + 'a' * 32 + '-' + 'b' * 16 + '-01')\n"
        "log_turn(Turn('t1', 'c1', 'hi'), strategy='queue', ticket=Ticket(), error=None,"
        " log_messages=False, origin=origin, trace_id=origin.trace_id, status=200)"
    )
    assert found["request_id"] == "r1"
    assert found["client"] == "ann@10.0.0.7"
    assert found["trace_id"] == "a" * 32
    assert found["status"] == 200


def test_what_is_logged_in_a_turn_says_which_one_by_either_library() -> None:
    at_work = "CURRENT.set(CurrentTurn('t1', 'c1', 1, request_id='r1', trace_id='f' * 32))\n"
    both = "structlog.get_logger().info('one')\nlogging.getLogger('agent').warning('two')"
    lines = [json.loads(one) for one in logged(at_work + both).splitlines()]
    assert [one["event"] for one in lines] == ["one", "two"]
    for one in lines:
        assert (one["turn_id"], one["request_id"], one["trace_id"]) == ("t1", "r1", "f" * 32)


def test_the_text_is_logged_only_when_asked() -> None:
    assert entry("log('hi', log_messages=True)")["message"] == "hi"


def test_a_turn_refused_at_once_has_its_line_too() -> None:
    found = entry("log(error=ServerFull(), ticket=None)")
    assert (found["outcome"], found["error"], found["level"]) == (
        "refused",
        "ServerFull",
        "warning",
    )


TWICE = """
import itertools, structlog
structlog.contextvars.bind_contextvars(first=1)
made = structlog.get_config()["processors"][1:]
structlog.configure(processors=made)
messages = ("hi", 'say "hi"', "a=b", "é\\n\\x1b\\ud800", "z" * 20_000)
for error, ticket, message in itertools.product((None, ServerFull()), (None, Ticket()), messages):
    for bound in (True, False):
        if not bound:
            structlog.contextvars.clear_contextvars()
        log(message, error, True, ticket)
    structlog.contextvars.bind_contextvars(first=1)
"""


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_turns_line_is_byte_for_byte_the_one_that_structlog_would_make(form: str) -> None:
    """A context variable makes a line take the long way; what would show it is left out here."""
    lines = logged(TWICE, form).splitlines()
    assert len(lines) == 40
    for long, short in zip(lines[::2], lines[1::2], strict=True):
        assert TIME.sub("TIME", long) == TIME.sub("TIME", short)
        assert TIME.search(short)


def test_what_was_bound_to_the_context_is_in_a_turns_line() -> None:
    bound = entry("import structlog; structlog.contextvars.bind_contextvars(request='r1'); log()")
    assert (bound["request"], bound["event"]) == ("r1", "turn ended")


def test_an_agents_failure_is_logged_with_its_traceback() -> None:
    found = entry("log(error=failed(ValueError('oh')))")
    assert (found["outcome"], found["error"]) == ("failed", "AgentFailed")
    assert found["cause"] == "ValueError: oh"
    assert found["exception"].startswith("Traceback")


def test_an_exception_that_cannot_be_printed_is_logged_all_the_same() -> None:
    code = """
class Bad(Exception):
    def __str__(self): raise SystemExit
    __repr__ = __str__
log(error=failed(Bad()))
"""
    assert "Bad" in entry(code)["cause"]


def test_a_huge_error_is_cut() -> None:
    assert len(logged("log(error=failed(ValueError('z' * 10_000_000)))")) < 100_000


@pytest.mark.parametrize("form", ["json", "console"])
def test_no_text_can_pass_for_a_line_or_command_the_terminal(form: str) -> None:
    code = "log('a\\n00:00 [info] fake \\x1b[2J \\ud800', log_messages=True)"
    text = logged(code, form)
    assert text.count("\n") == 1
    assert "\x1b" not in text


@pytest.mark.parametrize("form", ["json", "console"])
def test_the_standard_librarys_logging_and_warnings_take_the_same_way(form: str) -> None:
    code = "logging.getLogger('asyncio').warning('slow %s', 1); warnings.warn('careful')"
    first, second = logged(code, form).splitlines()
    assert "slow 1" in first
    assert "asyncio" in first
    assert "careful" in second


def test_without_a_terminal_there_are_no_colours() -> None:
    assert "\x1b" not in logged("log()", "console")


def test_a_log_that_nobody_reads_any_more_stops_nothing() -> None:
    code = """
import os
read, write = os.pipe()
os.dup2(write, 2); os.close(write); os.close(read)
log(); logging.getLogger('x').error('y'); log()
"""
    assert logged(code) == ""


def test_a_reader_that_is_stuck_stops_nothing_and_is_told_what_it_missed() -> None:
    code = """
import os
kept = os.dup(2)
read, write = os.pipe()
os.dup2(write, 2)
configure_logging(ObservabilitySettings())
for _ in range(2000): log()
while len(os.read(read, 65536)) == 65536: pass
log()
os.dup2(kept, 2)
os.write(2, os.read(read, 65536))
"""
    assert "log lines were lost\n" in logged(code, "console")


def test_a_process_without_stderr_logs_nowhere() -> None:
    done = subprocess.run(
        ["sh", "-c", 'exec "$0" -c "$1" json 2>&-', sys.executable, START + "log(); print('on')"],
        cwd=Path(runner.__file__).parents[1],
        stdout=subprocess.PIPE,
        timeout=PATIENCE_S,
    )
    assert done.stdout == b"on\n"

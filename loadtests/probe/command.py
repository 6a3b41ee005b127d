"""`runner probe`: trials in processes of their own, and what they show."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict

import click

from loadtests.commands.compare import split
from loadtests.controls import is_control
from loadtests.probe.judge import HANG, NONE, Trial, Verdict, judge
from runner import start
from runner.cli.flags import say, usage_errors, with_json
from runner.cli.own_code import with_traceback
from runner.cli.status import StatusLine

STAGGERS = (0.0, 0.4)
"""When the turns of a trial come: all at once, and each when the one before is partly done."""


@click.command("probe")
@click.argument("target")
@click.option("--turns", type=click.IntRange(2, 50), default=3, show_default=True)
@click.option("--strategies", callback=split, default="unprotected,queue,lock,reject",
              show_default=True)  # fmt: skip
@click.option("--timeout-s", type=click.FloatRange(min=0.1), default=20.0, show_default=True,
              help="For each trial; more for a slow model.")  # fmt: skip
@with_traceback
@with_json
@click.pass_context
def probe_command(
    context: click.Context,
    target: str,
    turns: int,
    strategies: list[str],
    timeout_s: float,
    as_json: bool,
) -> None:
    """Show what overlapping turns do to your agent, unprotected and under each strategy.

    TARGET is package.module:attribute, as for `serve`. Turns of one conversation are
    sent while others run, and what comes of it is held against the same turns one
    after the other. Each trial is a process of its own, so a crash is survived.

    \b
    Examples:
      runner probe my_module:agent
      runner probe my_module:Agent --turns 5 --timeout-s 120

    What it can name: a lost turn, stale context, unanswered turns sent, an exception,
    a crash of the process, a hang. "None seen" is no proof: it is this many tries.
    Exit status 1 where one is seen under a strategy, or one after the other.
    """
    with StatusLine(sys.stderr) as status:
        status.show(lambda after_s: f"importing {target}, {after_s:.0f} s")
        _check(target, strategies)
    trials = _Trials(target, turns, timeout_s, 2 + len(STAGGERS) * len(strategies))
    serial = trials.run("")
    alone = judge("one after the other", [serial], serial, repeatable=False, limit_s=timeout_s)
    if alone.kind != NONE:
        _tell([alone], target, as_json)
        context.exit(1)
    again = trials.run("")
    each_s = float(serial.of("took")[0]["seconds"]) / turns
    verdicts = []
    for strategy in strategies:
        seen = [trials.run(strategy, stagger * each_s) for stagger in STAGGERS]
        repeatable = serial.replies == again.replies
        verdicts.append(judge(strategy, seen, serial, repeatable=repeatable, limit_s=timeout_s))
    _tell(verdicts, target, as_json)
    bad = [v for v in verdicts if v.kind != NONE and not is_control(v.strategy)]
    context.exit(int(bool(bad)))


def _check(target: str, strategies: Sequence[str]) -> None:
    """Raises UsageError for what nothing goes by."""
    from loadtests.controls import check
    from runner.agents.loader import AgentNotFound, load_agent
    from runner.agents.threads import Threads
    from strategies.registry import UnknownStrategy

    start.look_here()
    with usage_errors(AgentNotFound, UnknownStrategy):
        load_agent(target, {}, threads=Threads(1), max_reply_bytes=1)
        for strategy in strategies:
            check(strategy)


class _Trials:
    """All trials of an agent, one after the other; a terminal shows which one runs."""

    def __init__(self, target: str, turns: int, limit_s: float, of: int) -> None:
        self._target, self._turns, self._limit_s, self._of = target, turns, limit_s, of
        self._number = 0
        self._status = StatusLine(sys.stderr)

    def run(self, strategy: str, stagger_s: float = 0.0) -> Trial:
        """One trial; "" is the serial one. Raises ClickException where it did not begin."""
        self._number += 1
        head = f"[{self._number}/{self._of}] {self._turns} turns {_how(strategy)}"
        self._status.show(lambda after_s: f"{head}, {after_s:.0f} s of at most {self._limit_s:g}")
        try:
            trial = run_trial(self._target, strategy, self._turns, stagger_s, self._limit_s)
        finally:
            self._status.clear()
        if trial.status is not None and not trial.of("asked"):
            said = (trial.errors.strip() or f"exit status {trial.status}").splitlines()[-1]
            raise click.ClickException(f"a trial of {self._target} could not begin: {said}")
        return trial


def _how(strategy: str) -> str:
    return f"at once, {strategy}" if strategy else "one after the other"


def run_trial(target: str, strategy: str, turns: int, stagger_s: float, limit_s: float) -> Trial:
    """One trial in a process, which is ended after `limit_s` seconds."""
    words = [target, strategy, str(turns), repr(stagger_s)]
    process = subprocess.Popen(
        start.command("loadtests.probe.trial", *words),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    )
    status: int | None
    try:
        said, errors = process.communicate(timeout=limit_s)
        status = process.returncode
    except subprocess.TimeoutExpired:
        process.kill()
        said, errors = process.communicate()
        status = None
    whole = said[: said.rfind("\n") + 1].splitlines()
    return Trial(tuple(json.loads(line) for line in whole), status, errors)


def _tell(verdicts: Sequence[Verdict], target: str, as_json: bool) -> None:
    if as_json:
        found = [{**asdict(verdict), "verdict": verdict.kind} for verdict in verdicts]
        say(json.dumps({"target": target, "strategies": found}, indent=2))
        return
    width = max(len(verdict.strategy) for verdict in verdicts) + 2
    say(f"{'':{width}}answered  refused  failed  verdict")
    for v in verdicts:
        say(f"{v.strategy:{width}}{v.answered:8}  {v.refused:7}  {v.failed:6}  {v.kind}")
    for verdict in verdicts:
        for finding in verdict.findings:
            say(f"\n{verdict.strategy}: {finding.kind}\n  {finding.evidence}")
    say(f"\n{_advice(verdicts)}")


def _advice(verdicts: Sequence[Verdict]) -> str:
    hurt = [v for v in verdicts if v.kind != NONE]
    safe = [v.strategy for v in verdicts if v.kind == NONE and not is_control(v.strategy)]
    if not hurt:
        return "Nothing was seen to go wrong; that is no proof that nothing can."
    if any(not is_control(v.strategy) for v in hurt):
        hang = " If it only needs longer, say --timeout-s." if hurt[-1].kind == HANG else ""
        return f"The agent fails without overlapping turns too: mend that first.{hang}"
    return f"Never call this agent twice at once in a conversation: {', '.join(safe)} protect it."

"""`runner probe`: what becomes of somebody's own agent when turns fail, and when they overlap."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from secrets import token_hex
from textwrap import wrap

import click

from loadtests.commands.compare import split
from loadtests.probe import report
from loadtests.probe.examination import Examined, Plan, examine
from loadtests.probe.sentences import ASK, TELL, Sentences
from loadtests.probe.server import NotServed
from runner import start
from runner.agents.loader import BUILT_IN
from runner.cli.flags import say, usage_errors, with_json, with_settings
from runner.cli.status import StatusLine

WARNING = (
    "The probe asks {target} about {turns} turns, in conversations {prefix}-* (or `default`, if it "
    "has only that), and stops some of them in the middle. The server's store is a temporary one. "
    "What the agent itself does is real: its model costs, its tools act, and what it keeps in a "
    "store of its own stays there."
)


@click.command("probe")
@click.argument("target")
@click.option("--tell", default=TELL, show_default=True, metavar="TEXT",
              help="Tells the agent {word}, a made-up one, or {number}.")  # fmt: skip
@click.option("--ask", default=ASK, show_default=True, metavar="TEXT",
              help="Asks it for the same, a turn later.")  # fmt: skip
@click.option("--fail", default="", metavar="TEXT",
              help="A message at which the agent fails; may have {word} too.")  # fmt: skip
@click.option("--turns", type=click.IntRange(2, 50), default=3, show_default=True,
              help="How many overlap.")  # fmt: skip
@click.option("--strategies", callback=split, default="unprotected,queue,lock,reject",
              show_default=True)  # fmt: skip
@click.option("--timeout-s", type=click.FloatRange(min=0.1), default=60.0, show_default=True,
              help="For each turn.")  # fmt: skip
@click.option(
    "--yes", is_flag=True, help="Begin without a word about what it does, and without a question."
)
@click.option("--traceback", is_flag=True,
              help="Of an error in your module, show all of the traceback.")  # fmt: skip
@with_settings
@with_json
@click.pass_context
def probe_command(
    context: click.Context,
    /,
    target: str,
    tell: str,
    ask: str,
    fail: str,
    turns: int,
    strategies: list[str],
    timeout_s: float,
    yes: bool,
    traceback: bool,
    config: str | None,
    assignments: Sequence[str],
    as_json: bool,
) -> None:
    """Show what your agent remembers, and what failing and overlapping turns do to it.

    TARGET is package.module:attribute, as for `serve`, whose settings apply. The probe
    starts servers, tells the agent a made-up word, and asks for it a turn later. It
    judges by the replies and by the history as it is served.

    \b
    Examples:
      runner probe my_module:agent
      runner probe my_module:agent --tell "My order is {number}." --ask "Which order?"
      runner probe my_module:Agent --turns 5 --timeout-s 120 --yes

    It tries: turns one after another; two conversations at once; a reply that is not
    kept; a turn that is cancelled; one cut by kill -9, and a restart; and overlapping
    turns, unprotected and under each strategy. "None seen" is no proof. Exit status 1
    where a fault is seen, but for those of `unprotected`; to remember nothing is none.
    """
    with usage_errors(ValueError):
        sentences = Sentences(tell, ask)
    words = [*(["--config", config] if config else []), *(["--traceback"] if traceback else [])]
    words += [word for one in assignments for word in ("--set", one)]
    prefix = f"probe-{token_hex(3)}"
    plan = Plan(target, sentences, fail, turns, strategies, timeout_s, words, prefix)
    _check(strategies)
    if not yes and target not in BUILT_IN:
        _warn(plan)
    examined = _examine(plan)
    say(report.as_json(target, examined) if as_json else report.as_text(target, examined))
    context.exit(int(bool(report.faults(examined))))


def _check(strategies: Sequence[str]) -> None:
    """Raises UsageError for a strategy that there is not."""
    from loadtests.controls import check
    from strategies.registry import UnknownStrategy

    start.look_here()
    with usage_errors(UnknownStrategy):
        for strategy in strategies:
            check(strategy)


def _warn(plan: Plan) -> None:
    """Say what is about to be done; where somebody may answer, ask whether to do it."""
    text = WARNING.format(target=plan.target, turns=plan.about_turns, prefix=plan.prefix)
    click.echo("\n".join(wrap(text, report.WIDTH)), err=True)
    if sys.stdin.isatty() and sys.stderr.isatty():
        click.confirm("Begin?", abort=True, err=True)


def _examine(plan: Plan) -> Examined:
    of = 1 + 4 + bool(plan.fail) + len(plan.strategies)
    number = 0

    def show(what: str) -> None:
        nonlocal number
        head = f"[{number}/{of}] {what}" if number else what
        number += 1
        status.show(lambda after_s: f"{head}, {after_s:.0f} s")

    with StatusLine(sys.stderr) as status:
        try:
            return examine(plan, show)
        except NotServed as error:
            # The server has said why, and its exit status says of which kind that is.
            click.echo(error.said or "Error: the server ended before it served", err=True)
            raise click.exceptions.Exit(2 if error.status == 2 else 1) from error

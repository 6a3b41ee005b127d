"""Flags of the command line that are settings, and what every command has in common."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from shlex import quote
from shutil import which
from threading import Timer
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from runner.config.sources import Given, Loaded

NAMES = ("runner", "turnline")
SLOW_S = 1.0
Command = TypeVar("Command", bound=Callable[..., Any])


class UsageError(click.ClickException):
    """A value that cannot be used; exit status 2, as for a wrong flag."""

    exit_code = 2


@contextmanager
def usage_errors(*kinds: type[Exception], about: str = "") -> Generator[None]:
    """Turn these exceptions into a UsageError that says the same.

    The user's code may be imported and made in here. What that raises, whatever it is, becomes
    an OwnCodeError with file and line.
    """
    try:
        yield
    except (click.ClickException, KeyboardInterrupt):
        raise
    except BaseException as error:
        from runner.cli.own_code import OwnCodeError, frames_of_users, in_short

        if frames := frames_of_users(error):
            raise OwnCodeError(in_short(error, frames)) from error
        if isinstance(error, kinds):
            raise UsageError(f"{about}{error}") from error
        raise


@contextmanager
def told_when_slow(text: str) -> Generator[None]:
    """Say on stderr what is done in here, if it takes more than a moment."""
    timer = Timer(SLOW_S, partial(click.echo, text, err=True))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def own_name() -> str:
    """The name by which this program was called: `turnline` is a second name of `runner`."""
    name = Path(sys.argv[0]).name
    return name if name in NAMES else NAMES[0]


def own_command() -> str:
    """How any shell runs this program: by name where the PATH has it, else by its full path."""
    started, name = Path(sys.argv[0]), own_name()
    script = started if started.name == name else Path(sys.executable).with_name(name)
    if not script.exists():
        return f"{quote(sys.executable)} -m runner"
    found = which(name)
    return name if found and script.samefile(found) else quote(str(script.absolute()))


_set = click.option(
    "--set",
    "assignments",
    metavar="KEY=VALUE",
    multiple=True,
    help="Any setting, such as server.drain_s=5. Repeatable.",
)
_config = click.option(
    "--config",
    "config",
    metavar="FILE",
    help="A settings file in place of ./runner.toml; RUNNER_CONFIG names one too.",
)


def with_settings(command: Command) -> Command:
    """The options of each command that reads the settings; `load_settings` takes them."""
    return _config(_set(command))


with_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")


def load_settings(context: click.Context | None = None) -> Loaded:
    """The settings; a parameter of the command such as `server__port` is one of them.

    Raises UsageError with all that is wrong.
    """
    # Here, so that `--help` need not wait for the models to be built.
    from runner.config.sources import load
    from runner.settings import SettingsError

    given = list(_given(context)) if context else []
    config = context.params["config"] if context else None
    with usage_errors(SettingsError):
        return load(given, environ=os.environ, folder=Path.cwd(), config=config)


def config_named(context: click.Context) -> str | None:
    """The settings file that somebody named."""
    from runner.config.files import NAMES_IT

    named: str | None = context.params["config"]
    return os.environ.get(NAMES_IT) if named is None else named


def _given(context: click.Context) -> Iterator[Given]:
    from runner.config.sources import from_text

    for assignment in context.params["assignments"]:
        key, equals, text = assignment.partition("=")
        if not equals:
            # The key alone: what follows it may be a secret.
            written = re.match(r"[\w.]*", assignment)
            start = written[0] if written else ""
            refusal = f"'{start}' is not KEY=VALUE, such as server.drain_s=5"
            raise click.BadParameter(refusal, context, param_hint="'--set'")
        yield from from_text(tuple(key.strip().split(".")), text, f"--set {key.strip()}")
    for parameter in context.command.params:
        table, _, key = (parameter.name or "").partition("__")
        value = context.params.get(parameter.name or "")
        if key and value not in (None, False):
            is_flag = isinstance(parameter, click.Option)
            source = parameter.opts[0] if is_flag else parameter.human_readable_name.strip("[]")
            yield from from_text((table, key), str(value), source)


def tell(notes: Iterable[str]) -> None:
    """On stderr, what a person should know and no program reads."""
    for note in notes:
        click.echo(f"Note: {note}", err=True)


def say(text: str) -> None:
    """Print; a reader that has left (`runner serve | head`) must not end a server."""
    try:
        click.echo(text)
    except OSError:
        # What is still buffered would raise again when Python exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)

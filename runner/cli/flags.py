"""Flags of the command line that are settings, and what every command has in common."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from shlex import quote
from shutil import which
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from runner.config.sources import Given, Loaded


class UsageError(click.ClickException):
    """A value that cannot be used; exit status 2, as for a wrong flag."""

    exit_code = 2


@contextmanager
def usage_errors(*kinds: type[Exception], about: str = "") -> Generator[None]:
    """Turn these exceptions into a UsageError that says the same."""
    try:
        yield
    except kinds as error:
        raise UsageError(f"{about}{error}") from error


def own_command() -> str:
    """How any shell runs this program: by name where the PATH has it, else by its full path."""
    started = Path(sys.argv[0])
    script = started if started.name == "runner" else Path(sys.executable).with_name("runner")
    if not script.exists():
        return f"{quote(sys.executable)} -m runner"
    found = which("runner")
    return "runner" if found and script.samefile(found) else quote(str(script.absolute()))


with_settings = click.option(
    "--set",
    "assignments",
    metavar="KEY=VALUE",
    multiple=True,
    help="Any setting, such as server.drain_s=5. Repeatable.",
)
with_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")


def load_settings(context: click.Context | None = None) -> Loaded:
    """The settings; a parameter of the command such as `server__port` is one of them.

    Raises UsageError with all that is wrong.
    """
    # Here, so that `--help` need not wait for the models to be built.
    from runner.config.sources import load
    from runner.settings import SettingsError

    given = list(_given(context)) if context else []
    with usage_errors(SettingsError):
        return load(given, environ=os.environ, folder=Path.cwd())


def _given(context: click.Context) -> Iterator[Given]:
    from runner.config.sources import from_text

    for assignment in context.params["assignments"]:
        key, equals, text = assignment.partition("=")
        if not equals:
            refusal = f"{assignment!r} is not KEY=VALUE, such as server.drain_s=5"
            raise click.BadParameter(refusal, context, param_hint="'--set'")
        yield from from_text(tuple(key.strip().split(".")), text, f"--set {key.strip()}")
    for parameter in context.command.params:
        table, _, key = (parameter.name or "").partition("__")
        value = context.params.get(parameter.name or "")
        if key and value not in (None, False):
            is_flag = isinstance(parameter, click.Option)
            source = parameter.opts[0] if is_flag else parameter.human_readable_name.strip("[]")
            yield from from_text((table, key), str(value), source)


def say(text: str) -> None:
    """Print; a reader that has left (`runner serve | head`) must not end a server."""
    try:
        click.echo(text)
    except OSError:
        # What is still buffered would raise again when Python exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)

"""Flags of the command line that are settings, and what every command has in common."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from runner.config.sources import Loaded

F = TypeVar("F", bound=Callable[..., Any])

FLAGS = {
    "target": ("TARGET", "agent.target"),
    "agent_id": ("--agent-id", "agent.id"),
    "strategy": ("--strategy", "strategy.name"),
    "host": ("--host", "server.host"),
    "port": ("--port", "server.port"),
    "insecure": ("--insecure", "server.insecure"),
    "store": ("--store", "store.url"),
    "log": ("--log", "observability.log"),
}
"""Parameters of `serve` that are settings: how each is written, and which it sets."""


class UsageError(click.ClickException):
    """Something was asked for that cannot be; exit status 2, as for a wrong flag."""

    exit_code = 2


def look_here() -> None:
    """Let modules of this folder be found. `python -m` has it in its path, a console script not."""
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())


def with_settings(command: F) -> F:
    return click.option(
        "--set",
        "assignments",
        metavar="KEY=VALUE",
        multiple=True,
        callback=_assignments,
        help="Any setting, such as server.drain_s=5. Repeatable.",
    )(command)


def with_json(command: F) -> F:
    return click.option("--json", "as_json", is_flag=True, help="For programs.")(command)


def _assignments(
    context: click.Context, parameter: click.Parameter, values: tuple[str, ...]
) -> tuple[str, ...]:
    for value in values:
        if not value.partition("=")[1]:
            raise click.BadParameter(f"{value!r} is not KEY=VALUE, such as server.drain_s=5")
    return values


def load_settings(
    assignments: tuple[str, ...], flags: Mapping[str, object] | None = None
) -> Loaded:
    """The settings for this process. Raises UsageError with everything that is wrong."""
    # Here, so that `--help` need not wait for the models to be built.
    from runner.config.sources import Given, from_text, load
    from runner.settings import SettingsError

    given: list[Given] = []
    for assignment in assignments:
        key, _, text = assignment.partition("=")
        given += from_text(tuple(key.strip().split(".")), text, f"--set {key.strip()}")
    for name, value in (flags or {}).items():
        spelt, key = FLAGS[name]
        path = tuple(key.split("."))
        if isinstance(value, str):
            given += from_text(path, value, spelt)
        elif value:
            given.append(Given(path, value, spelt))
    try:
        return load(given, environ=os.environ, folder=Path.cwd())
    except SettingsError as error:
        lines = "\n".join(f"  {problem}" for problem in error.problems)
        raise UsageError(f"the settings are not valid:\n{lines}") from None


def say(text: str) -> None:
    """Print; a reader that has left (`runner serve | head`) must not end a server."""
    try:
        click.echo(text)
    except OSError:
        # What is still buffered would raise again when Python exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)

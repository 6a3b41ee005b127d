"""Errors of the user's own code, when it is imported or made: a line, and only their frames.

Between the command line and a user's module lie 50 lines of importlib and of ours, which say
nothing about what is to be mended. `--traceback` shows them too.
"""

from __future__ import annotations

import os
import sys
import sysconfig
import traceback
from collections.abc import Iterator
from pathlib import Path
from traceback import FrameSummary

import click

OURS = tuple(
    str(Path(__file__).parents[2] / package) + os.sep
    for package in ("runner", "strategies", "loadtests")
)
LIBRARY = tuple(sysconfig.get_path(name) + os.sep for name in ("stdlib", "platstdlib"))
PACKAGES = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")
ENVIRON = frozenset({"<frozen os>", os.__file__})
LONGEST = 500
META = "runner.traceback"


class OwnCodeError(click.ClickException):
    """The user's code cannot be imported or made; exit status 1, for the usage was right."""


def _note(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    context.meta[META] = value


with_traceback = click.option(
    "--traceback",
    is_flag=True,
    expose_value=False,
    callback=_note,
    help="Of an error in your module, show all of the traceback.",
)


def frames_of_users(error: BaseException) -> list[FrameSummary]:
    """Where in the user's files it was raised, outermost first; [] where in none.

    An agent that is an installed package has only frames of packages: then these.
    """
    frames = [*traceback.extract_tb(error.__traceback__), *_unparsed(error)]
    theirs = [frame for frame in frames if not frame.filename.startswith(("<", *OURS))]
    installed = [frame for frame in theirs if any(part in frame.filename for part in PACKAGES)]
    own = [f for f in theirs if f not in installed and not f.filename.startswith(LIBRARY)]
    return own or installed


def in_short(error: BaseException, frames: list[FrameSummary]) -> str:
    """File, line and what was raised, and below it the frames, or all of the traceback."""
    last = frames[-1]
    head = f"{_path(last.filename)}:{last.lineno}: {_raised(error)}"
    context = click.get_current_context(silent=True)
    whole = context is not None and context.meta.get(META, False)
    below = traceback.format_exception(error) if whole else traceback.format_list(frames)
    return f"{head}\n{''.join(below)}".rstrip()


def _unparsed(error: BaseException) -> Iterator[FrameSummary]:
    """A file that is no Python has no frame of its own; this stands for it."""
    if isinstance(error, SyntaxError) and error.filename:
        yield FrameSummary(error.filename, error.lineno or 1, "<module>", line=error.text or "")
        return
    for frame, _ in traceback.walk_tb(error.__traceback__):
        if frame.f_code.co_name == "source_to_code":  # importlib's, which is given the file.
            yield FrameSummary(frame.f_locals["path"], 1, "<module>", line="")


def _raised(error: BaseException) -> str:
    if isinstance(error, SyntaxError):
        text = error.msg
    else:
        try:
            text = str(error)
        except BaseException as fault:  # It is the user's code that puts it into words.
            text = f"(it cannot be shown: {type(fault).__name__})"
    line = "; ".join(part.strip() for part in text.splitlines() if part.strip())
    line = line if len(line) <= LONGEST else f"{line[:LONGEST]} ..."
    return f"{type(error).__name__}{': ' if line else ''}{line}{_hint(error)}"


def _hint(error: BaseException) -> str:
    if isinstance(error, ModuleNotFoundError):
        return f" (Python is {sys.executable})"
    raised_in = traceback.extract_tb(error.__traceback__)[-1:]
    if isinstance(error, KeyError) and {one.filename for one in raised_in} & ENVIRON:
        return " (no such environment variable)"
    return ""


def _path(file: str) -> str:
    path = Path(file)
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)

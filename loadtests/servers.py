"""Real server processes to measure, each started and ended by its own id."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True, slots=True)
class Served:
    """A server that answers on `port`."""

    port: int
    process: subprocess.Popen[str]


def python_path() -> str:
    """Where a child process finds this checkout, and what this process would find from here."""
    return os.pathsep.join(filter(None, [str(ROOT), os.getcwd(), os.environ.get("PYTHONPATH")]))


def _environment() -> dict[str, str]:
    """This process's own, for an agent may need its keys; but for settings of the runner."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RUNNER")}
    return {**kept, "PYTHONPATH": python_path(), "PYTHONUNBUFFERED": "1"}


@contextmanager
def running(
    arguments: Sequence[str], folder: Path, errors: IO[str] | int = subprocess.DEVNULL
) -> Iterator[Served]:
    """Run `python -m *arguments` in the folder until the block ends.

    Raises RuntimeError where it does not start; `errors` is the file for its stderr, or none.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", *arguments],
        cwd=folder,
        env=_environment(),
        stdout=subprocess.PIPE,
        stderr=errors,
        text=True,
    )
    assert process.stdout is not None
    try:
        for line in process.stdout:
            if match := re.search(r"http://127\.0\.0\.1:(\d+)", line):
                break
        else:
            raise RuntimeError(f"did not start: {' '.join(arguments)}")
        yield Served(int(match[1]), process)
    finally:
        process.terminate()
        try:
            process.wait(10.0)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()

"""Real server processes to measure, each started and ended by its own id."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from runner import start

ROOT = Path(__file__).parent.parent.parent


@dataclass(frozen=True, slots=True)
class Served:
    """A server that answers on `port`."""

    port: int
    process: subprocess.Popen[str]


def environment() -> dict[str, str]:
    """This process's own, for an agent may need its keys; but for settings of runner and Locust.

    For a child in another folder, which must find the same modules.
    """
    settings = ("RUNNER_", "LOCUST_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(settings)}
    if path := kept.get("PYTHONPATH"):
        kept["PYTHONPATH"] = os.pathsep.join(map(os.path.abspath, path.split(os.pathsep)))
    return {**kept, "PYTHONUNBUFFERED": "1"}


@contextmanager
def running(
    arguments: Sequence[str], folder: Path, errors: IO[str] | int = subprocess.DEVNULL
) -> Iterator[Served]:
    """Run the module *arguments in the folder until the block ends.

    Raises RuntimeError where it does not start; `errors` is the file for its stderr, or none.
    """
    process = subprocess.Popen(
        start.command(*arguments),
        cwd=folder,
        env=environment(),
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

"""The command as people run it: in a folder of its own, with an environment of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import chdir
from pathlib import Path

import pytest
from click.testing import CliRunner

import runner
from runner.__main__ import cli
from tests.support.client import PATIENCE_S

Process = subprocess.Popen[str]

OTHERS = [name for name in os.environ if name.startswith("RUNNER_")]


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., tuple[int, str, str]]:
    """Run a command that changes nothing of its process: exit status, stdout, stderr."""

    def run_one(*arguments: str, text: str | bytes = "", **environ: str) -> tuple[int, str, str]:
        clean = {**dict.fromkeys(OTHERS), **environ}
        with chdir(tmp_path):
            done = CliRunner().invoke(cli, arguments, input=text, env=clean, catch_exceptions=False)
        return done.exit_code, done.stdout, done.stderr

    return run_one


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Process]]:
    """Start a command in a process of its own; what still runs after the test is ended."""
    started: list[Process] = []
    clean = {name: value for name, value in os.environ.items() if name not in OTHERS}
    clean["PYTHONPATH"] = str(Path(runner.__file__).parents[1])

    def start_one(*arguments: str) -> Process:
        process = subprocess.Popen(
            [sys.executable, "-m", "runner", *arguments],
            cwd=tmp_path,
            env=clean,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start_one
    for process in started:
        process.terminate()
        process.communicate(timeout=PATIENCE_S)

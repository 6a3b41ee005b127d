"""`runner serve --reload`, as a process with a child."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from subprocess import Popen
from typing import IO

import pytest

from tests.support.client import PATIENCE_S

Start = Callable[..., Popen[str]]


def read_until(stream: IO[str] | None, word: str) -> str:
    assert stream is not None
    for line in stream:
        if word in line:
            return line
    raise AssertionError(f"ended without {word!r}")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_change_starts_the_server_again_and_a_signal_ends_both(
    start: Start, tmp_path: Path, number: signal.Signals
) -> None:
    process = start("serve", "--reload", "--port", "0", "--store", "memory:")
    read_until(process.stdout, "runner serves")
    (tmp_path / "agent.py").write_text("x = 1")
    read_until(process.stderr, "changed: agent.py")
    read_until(process.stdout, "runner serves")
    process.send_signal(number)
    # The pipes close when the last process that holds them has ended: none is left behind.
    process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0


def test_a_server_that_cannot_start_is_tried_again_after_a_change(
    start: Start, tmp_path: Path
) -> None:
    (tmp_path / "runner.toml").write_text("[server]\nprot = 0")
    process = start("serve", "--reload", "--port", "0", "--store", "memory:")
    read_until(process.stderr, "waiting for a change")
    (tmp_path / "runner.toml").write_text("[server]\nport = 0")
    read_until(process.stdout, "runner serves")


def test_a_settings_file_that_was_named_is_watched_wherever_it_is(
    start: Start, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    config = tmp_path_factory.mktemp("elsewhere") / "prod.conf"
    config.write_text("[server]\nprot = 0")
    process = start("serve", "--reload", "--config", str(config), "--store", "memory:")
    read_until(process.stderr, "waiting for a change")
    config.write_text("[server]\nport = 0")
    read_until(process.stdout, "runner serves")

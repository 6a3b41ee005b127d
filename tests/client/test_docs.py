"""The programs of docs/client.md print what stands below them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.client import LIMIT_S
from tests.support.server import ROOT, Server

PAGE = (ROOT / "docs" / "client.md").read_text()
PROGRAMS = re.findall(
    r"```python\n(from turnline.*?|import asyncio.*?)```\n\n```\n(.*?)```", PAGE, re.S
)
(CAREFUL,) = re.findall(r"```python\n(# careful\.py.*?)```", PAGE, re.S)


def run(program: str, server: Server) -> str:
    """What it prints, with the address of this server."""
    address = f"http://127.0.0.1:{server.port}"
    program = program.replace("http://127.0.0.1:8080", address)
    program = program.replace("Client()", f"Client({address!r})")
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT, capture_output=True, text=True, timeout=LIMIT_S, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(("program", "shown"), PROGRAMS, ids=range(len(PROGRAMS)))
def test_a_program_prints_what_the_page_says(tmp_path: Path, program: str, shown: str) -> None:
    (tmp_path / "careful.py").write_text(CAREFUL)
    target = "careful:agent" if "questions" in program else "eliza"
    with Server(tmp_path, target=target) as server:
        assert run(program, server) == shown


def test_the_page_has_a_program_for_each_part() -> None:
    assert len(PROGRAMS) == 5


def test_the_client_brings_nothing_of_the_server() -> None:
    program = "import sys, turnline; print(*{name.split('.')[0] for name in sys.modules})"
    command = [sys.executable, "-c", program]
    brought = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert not {"quart", "hypercorn", "pydantic", "structlog", "strategies"} & {*brought.split()}

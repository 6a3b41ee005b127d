"""Test the frameworks where they are installed: `make test-frameworks`.

Not all of them go into one environment, and none belongs into the project's own: those below
.venvs have the locked versions. llama.cpp has to be compiled; it is tested in the
project's own environment once `make demo-llm` has installed it there.

The table in docs/frameworks.md must be what the tests find; `--write` writes it. With `--make`
the environments are made, and nothing is tested.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tests.frameworks.table import markdown, write, written
from tests.support.environment import make
from tests.support.server import ROOT

LOCKS = {"most": "requirements-frameworks.lock", "crewai": "requirements-frameworks-crewai.lock"}

COMPILED = "llama.cpp"
"""The row of what is tested in the environment that runs this file."""

OPTIONS = ("-q", "-n", "2", "--dist", "loadscope", "-W", "default", "--disable-warnings")
"""Warnings of other people's code are not ours to mend."""


def test(python: Path) -> dict[str, Any] | None:
    """What the tests find with this Python, or None where one fails."""
    with tempfile.TemporaryDirectory() as folder:
        found = Path(folder) / "found.json"
        done = subprocess.run(
            [python, "-m", "pytest", "tests/frameworks", *OPTIONS],
            cwd=ROOT,
            env={**os.environ, "TURNLINE_TEST_FOUND": str(found)},
        )
        if done.returncode:
            return None
        findings: dict[str, Any] = json.loads(found.read_text())
        return findings


def main() -> int:
    pythons = [make(name, ROOT / lock) for name, lock in LOCKS.items()]
    if "--make" in sys.argv[1:]:
        return 0
    has_compiled = find_spec("llama_cpp") is not None
    if has_compiled:
        pythons.append(Path(sys.executable))
    found = [test(python) for python in pythons]
    rows: dict[str, Any] = {}
    skipped: list[str] = []
    for one in found:
        if one is None:
            return 1
        rows |= one["rows"]
        skipped += one["skipped"]
    if skipped:
        print("skipped, which none should be:", *skipped, sep="\n  ")
        return 1
    return _compare(markdown(rows), is_whole=has_compiled)


def _compare(found: str, *, is_whole: bool) -> int:
    if not is_whole:
        print(f"{COMPILED} was not tested: `make demo-llm` installs it.")
        if "--write" in sys.argv[1:] or os.environ.get("CI"):
            return 1
    elif "--write" in sys.argv[1:]:
        write(found)
    said = written().splitlines(keepends=True)
    expected = "".join(line for line in said if is_whole or not line.startswith(f"| {COMPILED} "))
    if found != expected:
        print(
            "docs/frameworks.md says something else. FRAMEWORKS_ARGS=--write writes:",
            found,
            sep="\n",
        )
    return int(found != expected)


if __name__ == "__main__":
    sys.exit(main())

"""Official clients from npm, run by node."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent / "npm"
MODULES = Path(os.environ.get("TURNLINE_NODE_MODULES", HERE / "node_modules"))
LIMIT_S = 60.0


def need(*packages: str) -> None:
    """Skip the module where one is not there: `make test-doors` installs them."""
    absent = [one for one in packages if not (MODULES / one).is_dir()]
    if absent or shutil.which("node") is None:
        reason = f"not installed: {', '.join(absent or ['node'])}"
        pytest.skip(reason, allow_module_level=True)


def install() -> None:
    """The locked packages, if they are not there yet. Needs npm."""
    made, lock = MODULES / ".package-lock.json", HERE / "package-lock.json"
    if not made.exists() or made.stat().st_mtime < lock.stat().st_mtime:
        command = ["npm", "ci", "--prefix", str(HERE), "--no-audit", "--no-fund", "--silent"]
        subprocess.run(command, check=True)


def start(script: str, plan: dict[str, Any]) -> subprocess.Popen[str]:
    """A script of the folder, which reads its plan and prints one line of JSON."""
    return subprocess.Popen(
        ["node", str(HERE / script), json.dumps(plan)],
        env={**os.environ, "NODE_PATH": str(MODULES)},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def result(process: subprocess.Popen[str]) -> Any:
    try:
        said, complaints = process.communicate(timeout=LIMIT_S)
    finally:
        process.kill()
    assert process.returncode == 0, complaints
    return json.loads(said)


def run(script: str, plan: dict[str, Any]) -> Any:
    return result(start(script, plan))

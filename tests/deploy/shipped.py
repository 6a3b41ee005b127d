"""The files of docs/examples/deploy, and the programs of Debian that read them or run beside them.

Outside CI a test is skipped that needs a program which is not there; in CI it fails.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.client import LIMIT_S
from tests.support.server import ROOT

DEPLOY = ROOT / "docs" / "examples" / "deploy"
KUBERNETES = DEPLOY / "kubernetes"
UNIT = DEPLOY / "systemd" / "turnline.service"

PACKAGES = {
    "bwrap": "bubblewrap",
    "caddy": "caddy",
    "nginx": "nginx-light",
    "systemd-analyze": "systemd",
}
"""Programs, and the packages of Debian that have them."""

PLACES = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin"))


def needs(program: str) -> pytest.MarkDecorator:
    is_missing = shutil.which(program, path=PLACES) is None
    return pytest.mark.skipif(
        is_missing and "CI" not in os.environ,
        reason=f"{program} is not here, so what it runs is not tested: "
        f"apt-get install {PACKAGES[program]}",
    )


def found(program: str) -> str:
    """Where it is. Raises AssertionError where it is not, as in CI it must be."""
    path = shutil.which(program, path=PLACES)
    assert path is not None, f"apt-get install {PACKAGES[program]}"
    return path


def beside_python(program: str) -> str:
    """A program of this environment's packages."""
    return str(Path(sys.executable).with_name(program))


def run(*command: str, folder: Path = DEPLOY, **environment: str) -> tuple[int, str]:
    """The exit status, and all that it says."""
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=LIMIT_S,
    )
    return done.returncode, done.stdout


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def in_unit(name: str) -> str:
    """What the unit gives this name, where it does so once."""
    (value,) = re.findall(rf"^{name}=(.*)$", UNIT.read_text(), re.MULTILINE)
    return str(value)

"""Run the fast tests on every Python from 3.11 on that this machine has: `make test-all`.

With `--newest` on the newest alone, unless that runs this file: CI has had `make test` on the
oldest, and what differs lies between these two.

Each gets a virtual environment of its own below .venv/matrix, with the locked
versions; Quart's two lines are both among them (0.22 below Python 3.13, 0.23 from it on).
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
OLDEST = (3, 11)

SOCKETS = [
    f"tests/process/test_{name}.py" for name in ("disconnects", "held_connections", "slow_clients")
]
"""Where Python's versions differ most: here their slow tests count too."""


def pythons() -> dict[str, str]:
    """The newest interpreter of each version, from PATH and from pyenv, if it is here."""
    folders = [Path(folder) for folder in os.environ.get("PATH", "").split(os.pathsep)]
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    candidates = [path for folder in folders for path in folder.glob("python3.*")]
    candidates += [Path(sys.executable), *versions.glob("*/bin/python3")]
    found: dict[str, str] = {}
    for path in candidates:
        if re.fullmatch(r"python(3(\.\d+)?)?", path.name) and (version := version_of(path)):
            found.setdefault(version, str(path))
    return found


def version_of(path: Path) -> str | None:
    """ "3.12", or None where it is too old or does not start (a pyenv shim may not)."""
    code = "import sys, venv, sqlite3, ssl; print('%d.%d' % sys.version_info[:2])"
    try:
        done = subprocess.run([path, "-c", code], capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return None
    version = done.stdout.strip()
    if done.returncode or tuple(map(int, version.split("."))) < OLDEST:
        return None
    return version


def run(version: str, python: str) -> bool:
    folder = ROOT / ".venv" / "matrix" / version
    own = folder / "bin" / "python"
    if not own.exists():
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([python, "-m", "venv", folder], check=True)
    install = [str(own), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*install, "-r", "requirements.lock"], cwd=ROOT, check=True)
    subprocess.run([*install, "--no-deps", "--editable", "."], cwd=ROOT, check=True)
    code = "from importlib.metadata import version; print(version('quart'))"
    quart = subprocess.run([own, "-c", code], check=True, capture_output=True, text=True).stdout
    print(f"Python {version}, Quart {quart}", flush=True)
    tests = [str(own), "-m", "pytest", "-q", "-n", "2", "--dist", "loadscope"]
    runs = [*tests, "-m", "not slow"], [*tests, "-m", "slow", *SOCKETS]
    # As users start servers, since `make test` forks them: tests/support/forked.py.
    environment = {**os.environ, "TURNLINE_TEST_FORKS": "0"}
    return not any(subprocess.run(each, cwd=ROOT, env=environment).returncode for each in runs)


def main() -> int:
    found = pythons()
    if "--newest" in sys.argv[1:]:
        found.pop("{}.{}".format(*sys.version_info), None)
        found = dict(sorted(found.items())[-1:])
        if not found:
            print("SKIPPED: there is no other Python here, such as python3.13")
    results = {version: run(version, found[version]) for version in sorted(found)}
    for version, passed in results.items():
        print(f"Python {version}: {'passed' if passed else 'FAILED'}")
    return 0 if all(results.values()) else 1


if __name__ == "__main__":
    sys.exit(main())

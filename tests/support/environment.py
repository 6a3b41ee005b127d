"""Environments with the locked versions of what does not belong into the project's own."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

from tests.support.server import ROOT


def make(name: str, lock: Path) -> Path:
    """The Python of an environment with all that the lock file names."""
    folder = ROOT / ".venvs" / name
    python, stamp = folder / "bin" / "python", folder / "made-from"
    source = lock.read_bytes() + (ROOT / "pyproject.toml").read_bytes()
    digest = hashlib.sha256(source).hexdigest()
    if not stamp.exists() or stamp.read_text() != digest:
        print(f"Making {folder.relative_to(ROOT)} from {lock.name}.", flush=True)
        _uv("venv", "--clear", "--python", sys.executable, str(folder))
        install = "pip", "install", "--python", str(python)
        _uv(*install, "--require-hashes", "--requirement", str(lock))
        _uv(*install, "--no-deps", "--editable", str(ROOT))
        stamp.write_text(digest)
    return python


def _uv(*arguments: str) -> None:
    uv = Path(sys.executable).with_name("uv")
    subprocess.run([uv, "--quiet", *arguments], cwd=ROOT, check=True)

"""What an extra of this package brings, and the command that installs it from here."""

from __future__ import annotations

import json
import os
import sys
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path
from shlex import quote
from shutil import which
from urllib.parse import unquote, urlsplit

NAME = "turnline"
HOME = Path(__file__).resolve().parents[1]


def missing(extra: str, *modules: str) -> str:
    """That some of an extra's modules are not installed, with the remedy; "" where all are."""
    absent = [name for name in modules if not _is_installed(name)]
    if not absent:
        return ""
    verb = "is" if len(absent) == 1 else "are"
    return f"{' and '.join(absent)} {verb} not installed: {remedy(extra)}"


def remedy(extra: str) -> str:
    """The command that installs the extra where this program runs."""
    return f"{_pip()} {_what(extra)}"


def _is_installed(name: str) -> bool:
    """A folder that happens to have the name has no origin."""
    try:
        spec = find_spec(name)
    except ModuleNotFoundError:  # What it is in is not there.
        return False
    return spec is not None and spec.origin is not None


def _what(extra: str) -> str:
    """The extra of what this was installed from; its packages by name where that is not here."""
    if (HOME / "pyproject.toml").exists():
        source = "." if HOME.samefile(os.curdir) else str(HOME)
        return f"--editable {quote(f'{source}[{extra}]')}"
    try:
        installed = distribution(NAME)
    except PackageNotFoundError:
        return quote(f"{NAME}[{extra}]")
    origin: dict[str, str] = json.loads(installed.read_text("direct_url.json") or "{}")
    url = urlsplit(origin.get("url", ""))
    source = unquote(url.path) if url.scheme == "file" else ""
    if source and Path(source).exists():
        return quote(f"{source}[{extra}]")
    mine = (one.split(";") for one in installed.requires or () if f"extra == '{extra}'" in one)
    return " ".join(quote(name.strip()) for name, *_ in mine)


def _pip() -> str:
    """How any shell installs something for this Python."""
    if find_spec("pip") is None:
        return f"uv pip install --python {quote(sys.executable)}"
    mine, found = Path(sys.executable).with_name("pip"), which("pip")
    if found and mine.exists() and mine.samefile(found):
        return "pip install"
    return f"{quote(sys.executable)} -m pip install"

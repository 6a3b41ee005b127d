"""The examples of docs/examples, in the process of a test."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from tests.support.server import ROOT

EXAMPLES = ROOT / "docs" / "examples"

MODULES = ("agent", "scripted_model")
"""In every example, and each test is given new ones."""


def load_example(name: str) -> Any:
    """Its module `agent`; `name` is that of its folder, in docs/examples/frameworks or above."""
    folder = EXAMPLES / "frameworks" / name
    return load_from(folder if folder.exists() else EXAMPLES / name)


def load_from(folder: Path) -> Any:
    _forget()
    sys.path.insert(0, str(folder))
    try:
        return import_module("agent")
    finally:
        sys.path.remove(str(folder))
        _forget()


def _forget() -> None:
    for name in MODULES:
        sys.modules.pop(name, None)

"""Start our own modules, whatever the modules in the user's folder are called.

`python -m` puts the folder in which it is run first in the path, so a `strategies/` or
`runner.py` of the user's own would be loaded in place of ours. In our processes our packages
come from where this file is, and the user's folder comes last.

This file is what our child processes run, as `python -P start.py FOLDER MODULE ARGUMENTS`.
It must not import any of our packages before it has said where they are.
"""

from __future__ import annotations

import os
import runpy
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

OURS = frozenset({"runner", "strategies", "loadtests"})
HOME = Path(__file__).resolve().parents[1]


def command(module: str, *arguments: str) -> list[str]:
    """What starts a module of ours, or one that imports ours, as a child process.

    It finds the user's modules in the folder that is now the current one, whatever folder it
    runs in itself.
    """
    return [sys.executable, "-P", __file__, os.getcwd(), module, *arguments]


def settle() -> None:
    """Take our packages from here, and nothing from the current folder before Python's own."""
    if _Ours not in sys.meta_path:
        sys.meta_path.insert(0, _Ours)
    if not sys.flags.safe_path and sys.path[:1] in ([""], [os.getcwd()]):
        del sys.path[0]


def look_in(folder: str) -> None:
    """Let the modules of this folder be found, after all others."""
    if folder not in sys.path:
        sys.path.append(folder)


def look_here() -> None:
    look_in(os.getcwd())


class _Ours:
    """Finds our packages: PYTHONPATH, too, may lead to others of the same names."""

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return PathFinder.find_spec(name, [str(HOME)]) if name in OURS else None


if __name__ == "__main__":
    folder, module, *arguments = sys.argv[1:]
    settle()
    look_in(folder)
    sys.argv[1:] = arguments
    runpy.run_module(module, run_name="__main__", alter_sys=True)

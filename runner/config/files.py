"""The one file that gives settings: named by somebody, or found in the folder."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

NAMES_IT = "RUNNER_CONFIG"
OWN, SHARED = "runner.toml", "pyproject.toml"
TABLE = ("tool", "runner")
"""Where settings stand in a pyproject.toml, which is not ours alone."""


@dataclass(frozen=True, slots=True)
class SettingsFile:
    """A file as people name it, who named it ("": it was found), and where it is."""

    name: str
    named_by: str
    path: Path

    @property
    def table(self) -> tuple[str, ...]:
        return TABLE if self.path.name == SHARED else ()

    @property
    def source(self) -> str:
        """What is said of the values in it."""
        return f"{self.name} [tool.runner]" if self.table else self.name


def settings_file(folder: Path, config: str | None, environ: Mapping[str, str]) -> SettingsFile:
    """The file that gives the settings; `config` is what `--config` says."""
    for name, source in ((config, "--config"), (environ.get(NAMES_IT) or None, NAMES_IT)):
        if name is not None:
            return SettingsFile(name, source, folder / Path(name).expanduser())
    name = OWN if (folder / OWN).exists() else SHARED
    return SettingsFile(name, "", folder / name)


def read(file: SettingsFile, notes: list[str], problems: list[str]) -> dict[str, Any]:
    """What the file gives; {} where there is none and nobody named one."""
    if file.named_by and not file.path.is_file():
        # Nobody names a file in order to have the defaults.
        problems.append(f"there is no file {file.name!r} (from {file.named_by})")
        return {}
    shared = SettingsFile(SHARED, "", file.path.with_name(SHARED))
    if file.name == OWN and not file.named_by and _read(shared, []):
        notes.append(f"{OWN} is used; [tool.runner] in {SHARED} is not")
    return _read(file, problems)


def _read(file: SettingsFile, problems: list[str]) -> dict[str, Any]:
    try:
        table: Any = tomllib.loads(file.path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        problems.append(f"{file.name} cannot be read: {_reason(error)}")
        return {}
    for key in file.table:
        table = cast("dict[str, Any]", table).get(key, {})
        if not isinstance(table, dict):
            problems.append(f"{file.name}: [{'.'.join(file.table)}] should be a table")
            return {}
    return cast("dict[str, Any]", table)


def _reason(error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return f"it is not UTF-8 (at byte {error.start})"
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    return (error.strerror if isinstance(error, OSError) else None) or str(error)

"""Where settings come from: flags beat RUNNER_* variables beat one file beats the defaults.

Each value that somebody gave is one `Given`, with the name of its source, so
that an error and `runner config show` can say where a value stands. The layers
are merged here and checked once, as a whole, by the models in `settings`.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from runner.config.complaints import complaint
from runner.settings import Settings, SettingsError

PREFIX = "RUNNER_"
SHORTHANDS = {
    "RUNNER_AGENT": ("agent", "target"),
    "RUNNER_STRATEGY": ("strategy", "name"),
    "RUNNER_STORE": ("store", "url"),
}
# One is the chat client's, the others are set on every machine of GitHub Actions.
NOT_SETTINGS = re.compile(
    "RUNNER_(ALLOW_RUNASROOT|ARCH|DEBUG|ENVIRONMENT|NAME|OS|PERFLOG|TEMP|TOKEN|TOOL_CACHE"
    "|TRACKING_ID|USER|WORKSPACE)"
)
"""RUNNER_TOKEN is the chat client's; the others stand on every machine of GitHub Actions."""

NAMERS = (("agent", "target"), ("strategy", "name"))
"""Each has a table of options beside it, which are for what it names."""

Key = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Given:
    """One value as somebody gave it. `source` is such as `--port` or `runner.toml`."""

    path: Key
    value: object
    source: str


@dataclass(frozen=True, slots=True)
class Loaded:
    """The settings, the source of each value that is not a default, and notes for people."""

    settings: Settings
    sources: Mapping[Key, str]
    notes: Sequence[str]

    def source(self, path: Key) -> str:
        return self.sources.get(path, "default")


def load(flags: Iterable[Given] = (), *, environ: Mapping[str, str], folder: Path) -> Loaded:
    """The settings for a process with this environment in this folder.

    Raises SettingsError with every problem that there is.
    """
    in_file, notes, problems = _from_file(folder)
    layers = _without_strangers_options([in_file, from_environ(environ), list(flags)], notes)
    merged: dict[Key, Given] = {}
    for given in (given for layer in layers for given in layer):
        _put(merged, given)
    try:
        settings = Settings.model_validate(_nested(merged.values()))
    except ValidationError as error:
        problems += [complaint(details, merged) for details in error.errors()]
    else:
        if not problems:
            return Loaded(settings, {path: one.source for path, one in merged.items()}, notes)
    # Not `from error`: its text would show the values, tokens among them.
    raise SettingsError(problems) from None


def from_text(path: Key, text: str, source: str) -> list[Given]:
    """A value given as text, on the command line or in the environment."""
    return _flat(_parse(text, find_field(path)), source, path)


def from_environ(environ: Mapping[str, str]) -> list[Given]:
    found: list[Given] = []
    for name in sorted(environ):  # Sorted, so that RUNNER_AGENT__TARGET beats RUNNER_AGENT.
        if name.startswith(PREFIX) and not NOT_SETTINGS.fullmatch(name):
            spelt = tuple(name.removeprefix(PREFIX).lower().split("__"))
            found += from_text(SHORTHANDS.get(name, spelt), environ[name], name)
    return found


def find_field(path: Key) -> FieldInfo | None:
    """The field of the models at a path; None where there is none, as for free options."""
    model: type[BaseModel] = Settings
    for number, key in enumerate(path, 1):
        field = model.model_fields.get(key)
        if field is None or number == len(path):
            return field
        if not (isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)):
            return None
        model = field.annotation
    return None


def _parse(text: str, field: FieldInfo | None) -> object:
    """What a text means for a field; one that means nothing stays text, and is refused as such."""
    kind = field.annotation if field else None
    if kind is str or get_origin(kind) is Literal:
        return text
    if kind is bool:
        words = {"1": True, "yes": True, "on": True, "0": False, "no": False, "off": False}
        text = text.lower()
        if text in words:
            return words[text]
    if get_origin(kind) is tuple and not text.startswith(("[", "{")):
        return tuple(part.strip() for part in text.split(",") if part.strip())
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _from_file(folder: Path) -> tuple[list[Given], list[str], list[str]]:
    """What the one settings file of the folder gives; notes; problems."""
    own, shared = folder / "runner.toml", folder / "pyproject.toml"
    if not own.exists():
        table, problems = _read(shared, ("tool", "runner"))
        return _flat(table, "pyproject.toml [tool.runner]"), [], problems
    notes: list[str] = []
    if _read(shared, ("tool", "runner"))[0]:
        notes.append("runner.toml is used; [tool.runner] in pyproject.toml is not")
    table, problems = _read(own, ())
    return _flat(table, "runner.toml"), notes, problems


def _read(file: Path, path: Key) -> tuple[dict[str, Any], list[str]]:
    try:
        table: Any = tomllib.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        return {}, []
    except (OSError, ValueError, RecursionError) as error:
        return {}, [f"{file.name} cannot be read: {error}"]
    for key in path:
        table = cast("dict[str, Any]", table).get(key, {})
        if not isinstance(table, dict):
            return {}, [f"{file.name}: [{'.'.join(path)}] should be a table"]
    return cast("dict[str, Any]", table), []


def _flat(value: object, source: str, path: Key = ()) -> list[Given]:
    """One `Given` for each value in nested tables; an empty table counts as a value."""
    if not (isinstance(value, dict) and value):
        return [Given(path, cast(Any, value), source)] if path else []
    table = cast("dict[str, object]", value)
    return [one for key, part in table.items() for one in _flat(part, source, (*path, key))]


def _without_strangers_options(layers: list[list[Given]], notes: list[str]) -> list[list[Given]]:
    """Drop options that were written beside another target or strategy than the one in use.

    `runner serve eliza` in a folder whose runner.toml serves something else
    would otherwise hand that one's options to eliza.
    """
    for namer in NAMERS:
        options = (namer[0], "options")
        names = [{one.path: one.value for one in layer}.get(namer) for layer in layers]
        used = next((name for name in reversed(names) if name is not None), None)
        for number, name in enumerate(names):
            kept = [one for one in layers[number] if one.path[:2] != options]
            if name not in (None, used) and kept != layers[number]:
                notes.append(f"{'.'.join(options)} for {name!r} are not used for {used!r}")
                layers[number] = kept
    return layers


def _put(merged: dict[Key, Given], given: Given) -> None:
    """Add a value, in place of what it replaces: the same, a table of it, or what was in it."""
    for path in [*merged]:
        shorter = min(len(path), len(given.path))
        if path[:shorter] == given.path[:shorter]:
            del merged[path]
    merged[given.path] = given


def _nested(values: Iterable[Given]) -> dict[str, Any]:
    root: dict[str, Any] = {}
    for given in values:
        table = root
        for key in given.path[:-1]:
            table = table.setdefault(key, {})
        table[given.path[-1]] = given.value
    return root

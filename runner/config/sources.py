"""Where settings come from: flags beat RUNNER_* variables beat one file beats the defaults.

Each value keeps the name of its source, for errors and `runner config show`. The layers are
merged here and checked once, as a whole, by the models in `settings`.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from operator import eq
from pathlib import Path
from typing import Any, Literal, cast, get_origin

from pydantic import ValidationError

from runner.config.complaints import PREFIX, complaint
from runner.settings import FIELDS, Key, Settings, SettingsError

SHORTHANDS = {
    "RUNNER_AGENT": ("agent", "target"),
    "RUNNER_STRATEGY": ("strategy", "name"),
    "RUNNER_STORE": ("store", "url"),
}
NOT_SETTINGS = re.compile(
    "RUNNER_(ALLOW_RUNASROOT|ARCH|DEBUG|ENVIRONMENT|NAME|OS|PERFLOG|TEMP|TOKEN|TOOL_CACHE"
    "|TRACKING_ID|USER|WORKSPACE)"
)
"""RUNNER_TOKEN is for `runner chat`; the others are set on every machine of GitHub Actions."""

NAMERS = (("agent", "target"), ("strategy", "name"))
"""Each has a table of options beside it, which are for what it names."""

SWITCHES = {"1": "true", "yes": "true", "on": "true", "0": "false", "no": "false", "off": "false"}


@dataclass(frozen=True, slots=True)
class Given:
    """One value as somebody gave it. `source` is such as `--port` or `runner.toml`."""

    path: Key
    value: object
    source: str


@dataclass(frozen=True, slots=True)
class Loaded:
    """The settings, who gave the value at a path ("default": nobody), and notes for people."""

    settings: Settings
    source: Callable[[Key], str]
    notes: Sequence[str]


def load(flags: Iterable[Given] = (), *, environ: Mapping[str, str], folder: Path) -> Loaded:
    """The settings, with this environment, in this folder; SettingsError with all problems."""
    notes: list[str] = []
    problems: list[str] = []
    layers = [_from_file(folder, notes, problems), [*_from_environ(environ)], [*flags]]
    _drop_options_of_others(layers, notes)
    given = [*chain.from_iterable(layers)]
    source = partial(_source, given)
    try:
        settings = Settings.model_validate(_nested(given))
    except ValidationError as error:
        problems += [complaint(details, source) for details in error.errors()]
    else:
        if not problems:
            return Loaded(settings, source, notes)
    # Not `from error`: its text would show the values, tokens among them.
    raise SettingsError(problems)


def from_text(path: Key, text: str, source: str) -> list[Given]:
    """A value given as text, on the command line or in the environment."""
    return _given(_parse(text, path), source, path)


def _from_environ(environ: Mapping[str, str]) -> Iterator[Given]:
    for name in sorted(environ):  # Sorted, so that RUNNER_AGENT__TARGET beats RUNNER_AGENT.
        if name.startswith(PREFIX) and not NOT_SETTINGS.fullmatch(name):
            spelt = tuple(name.removeprefix(PREFIX).lower().split("__"))
            yield from from_text(SHORTHANDS.get(name, spelt), environ[name], name)


def flat(value: object, path: Key = ()) -> Iterator[tuple[Key, object]]:
    """Each value in nested tables with its path; an empty table counts as a value."""
    if isinstance(value, dict) and value:
        for key, part in cast("dict[str, object]", value).items():
            yield from flat(part, (*path, key))
    elif path:
        yield path, value


def _given(value: object, source: str, path: Key = ()) -> list[Given]:
    return [Given(inner, part, source) for inner, part in flat(value, path)]


def _parse(text: str, path: Key) -> object:
    """What a text means for a setting; what means nothing stays text, and is refused."""
    field = FIELDS.get(path)
    kind = field.annotation if field else None
    if kind is str or get_origin(kind) is Literal:
        return text
    if kind is bool:
        text = text.lower()
        text = SWITCHES.get(text, text)
    if get_origin(kind) is tuple and not text.startswith(("[", "{")):
        return tuple(part.strip() for part in text.split(",") if part.strip())
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _from_file(folder: Path, notes: list[str], problems: list[str]) -> list[Given]:
    """What the one settings file of the folder gives."""
    own, shared = folder / "runner.toml", folder / "pyproject.toml"
    if not own.exists():
        return _given(_read(shared, problems, "tool", "runner"), "pyproject.toml [tool.runner]")
    if _read(shared, [], "tool", "runner"):
        notes.append("runner.toml is used; [tool.runner] in pyproject.toml is not")
    return _given(_read(own, problems), "runner.toml")


def _read(file: Path, problems: list[str], *path: str) -> dict[str, Any]:
    try:
        table: Any = tomllib.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        problems.append(f"{file.name} cannot be read: {error}")
        return {}
    for key in path:
        table = cast("dict[str, Any]", table).get(key, {})
        if not isinstance(table, dict):
            problems.append(f"{file.name}: [{'.'.join(path)}] should be a table")
            return {}
    return cast("dict[str, Any]", table)


def _drop_options_of_others(layers: list[list[Given]], notes: list[str]) -> None:
    """Drop options that were written beside another target or strategy than the one in use.

    Otherwise `runner serve eliza` would get the options of what runner.toml serves.
    """
    for table, namer in NAMERS:
        names = [{one.path: one.value for one in layer}.get((table, namer)) for layer in layers]
        used = next((name for name in reversed(names) if name is not None), None)
        for layer, name in zip(layers, names, strict=True):
            kept = [one for one in layer if one.path[:2] != (table, "options")]
            if name not in (None, used) and kept != layer:
                notes.append(f"{table}.options for {name!r} are not used for {used!r}")
                layer[:] = kept


def _source(given: Sequence[Given], path: Key) -> str:
    """Who gave the value at this path, or one inside it, last."""
    return next((one.source for one in reversed(given) if all(map(eq, one.path, path))), "default")


def _nested(given: Iterable[Given]) -> dict[str, Any]:
    """All of them as one table; each in place of what was given before it."""
    root: dict[str, Any] = {}
    for one in given:
        table = root
        for key in one.path[:-1]:
            if not isinstance(table.get(key), dict):
                table[key] = {}
            table = table[key]
        table[one.path[-1]] = one.value
    return root

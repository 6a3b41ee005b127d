"""Where settings come from: flags beat RUNNER_* variables beat one file beats the defaults.

Paths in a file are relative to the working directory too, wherever the file is: the same text
means the same in each source. Each value keeps the name of its source, for errors and `runner
config show`. The layers are merged here and checked once, as a whole, by the models in
`settings`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from operator import eq
from pathlib import Path
from typing import Any, Literal, cast, get_origin

from pydantic import ValidationError

from runner.config.complaints import PREFIX, complaint
from runner.config.files import read, settings_file
from runner.config.masking import shown
from runner.config.variables import names_of_settings
from runner.settings import FIELDS, Key, Settings, SettingsError

SHORTHANDS = {
    "RUNNER_AGENT": ("agent", "target"),
    "RUNNER_STRATEGY": ("strategy", "name"),
    "RUNNER_STORE": ("store", "url"),
}
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


def load(
    flags: Iterable[Given] = (),
    *,
    environ: Mapping[str, str],
    folder: Path,
    config: str | None = None,
) -> Loaded:
    """The settings, with this environment, in this folder; SettingsError with all problems.

    config  the file that `--config` names, in place of RUNNER_CONFIG and what is in the folder.
    """
    notes: list[str] = []
    problems: list[str] = []
    file = settings_file(folder, config, environ)
    from_file = _given(read(file, notes, problems), file.source)
    layers = [from_file, [*_from_environ(environ, notes)], [*flags]]
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


def _from_environ(environ: Mapping[str, str], notes: list[str]) -> Iterator[Given]:
    for name in names_of_settings(environ, notes):  # In order: RUNNER_AGENT__TARGET comes last.
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
                other, one = (repr(shown((table, namer), value)) for value in (name, used))
                notes.append(f"{table}.options for {other} are not used for {one}")
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

"""What `runner config show`, `strategies` and `agents` print."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import cast

from runner.config.masking import shown
from runner.config.sources import Loaded, flat
from runner.settings import FIELDS, Key


def to_json(content: object) -> str:
    # TOML has dates, and free options may hold some.
    return json.dumps(content, indent=2, default=str)


def names(described: Mapping[str, str], own: str, *, as_json: bool) -> str:
    """Known names, each with a line about it, and how to name one of your own."""
    if as_json:
        return to_json(described)
    width = max(map(len, described))
    lines = [f"{name:<{width}}  {about}" for name, about in described.items()]
    return "\n".join([*lines, "", f"Or one of your own: {own}"])


def settings_as_json(loaded: Loaded) -> str:
    tables: dict[str, dict[str, object]] = {}
    for path, value in _values(loaded):
        tables.setdefault(path[0], {})[".".join(path[1:])] = {
            "value": value,
            "source": loaded.source(path),
            "description": description(path),
        }
    return to_json({"settings": tables, "notes": loaded.notes})


def settings_as_toml(loaded: Loaded, *, describe: bool) -> str:
    """The settings as a runner.toml would have them, each with its source."""
    lines = [f"# {note}" for note in loaded.notes]
    for table, values in groupby(_values(loaded), lambda one: one[0][0]):
        lines += ["", f"[{table}]"] if lines else [f"[{table}]"]
        for path, value in values:
            if describe and description(path):
                lines.append(f"# {description(path)}")
            line = f"{'.'.join(map(_key, path[1:]))} = {_toml(value)}"
            lines.append(f"{line:<45} # {loaded.source(path)}")
    return "\n".join(lines)


def description(path: Key) -> str:
    """What a setting is for, in a line."""
    return (path in FIELDS and FIELDS[path].description) or ""


def _values(loaded: Loaded) -> Iterator[tuple[Key, object]]:
    for path, value in flat(loaded.settings.model_dump()):
        yield path, shown(path, value)


def _key(key: str) -> str:
    bare = key.isascii() and key.replace("_", "").replace("-", "").isalnum()
    return key if bare else _toml(key)


def _toml(value: object) -> str:
    if value is None:
        return '"none"'
    if isinstance(value, dict):
        table = cast("dict[str, object]", value)
        pairs = [f"{_key(key)} = {_toml(part)}" for key, part in table.items()]
        return f"{{{', '.join(pairs)}}}"
    if isinstance(value, tuple | list):
        return f"[{', '.join(_toml(part) for part in cast('list[object]', value))}]"
    if isinstance(value, bool | str):
        return json.dumps(value, ensure_ascii=False)  # TOML has no surrogate pairs.
    return str(value)

"""What `runner config show`, `strategies` and `agents` print."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, cast

from pydantic import BaseModel

from runner.config.complaints import known_paths
from runner.config.masking import shown
from runner.config.sources import Key, Loaded, find_field


def as_json(content: object) -> str:
    # TOML has dates, and free options may hold some.
    return json.dumps(content, indent=2, default=str)


def names_as_text(names: Mapping[str, str]) -> str:
    width = max(map(len, names), default=0)
    return "\n".join(f"{name:<{width}}  {about}" for name, about in names.items())


def settings_as_json(loaded: Loaded) -> str:
    tables: dict[str, dict[str, object]] = {}
    for path, value in _values(loaded):
        tables.setdefault(path[0], {})[".".join(path[1:])] = {
            "value": shown(path, value),
            "source": loaded.source(path),
            "description": description(path),
        }
    return as_json({"settings": tables, "notes": list(loaded.notes)})


def settings_as_toml(loaded: Loaded, *, describe: bool) -> str:
    """The settings as a runner.toml would have them, each with its source."""
    lines = [f"# {note}" for note in loaded.notes]
    table = ""
    for path, value in _values(loaded):
        if path[0] != table:
            table = path[0]
            lines += ["", f"[{table}]"] if lines else [f"[{table}]"]
        if describe and description(path):
            lines.append(f"# {description(path)}")
        line = f"{'.'.join(map(_key, path[1:]))} = {_toml(shown(path, value))}"
        lines.append(f"{line:<45} # {loaded.source(path)}")
    return "\n".join(lines)


def description(path: Key) -> str:
    """What a setting is for, in a line."""
    field = find_field(path)
    return (field.description if field else None) or ""


def _values(loaded: Loaded) -> Iterator[tuple[Key, object]]:
    for path in known_paths():
        value: Any = loaded.settings
        for key in path:
            value = getattr(value, key)
        if isinstance(value, dict) and value:
            yield from _options(path, cast("dict[str, object]", value))
        elif not isinstance(value, BaseModel):
            yield path, value


def _options(path: Key, table: Mapping[str, object]) -> Iterator[tuple[Key, object]]:
    for key, value in table.items():
        if isinstance(value, dict) and value:
            yield from _options((*path, key), cast("dict[str, object]", value))
        else:
            yield (*path, key), value


def _key(key: str) -> str:
    bare = key.isascii() and key.replace("_", "").replace("-", "").isalnum()
    return key if bare else json.dumps(key)


def _toml(value: object) -> str:
    if value is None:
        return '"none"'
    if isinstance(value, dict):
        pairs = [
            f"{_key(key)} = {_toml(part)}" for key, part in cast("dict[str, object]", value).items()
        ]
        return f"{{{', '.join(pairs)}}}"
    if isinstance(value, tuple | list):
        return f"[{', '.join(_toml(part) for part in cast('list[object]', value))}]"
    if isinstance(value, bool | str):
        return json.dumps(value)
    return str(value)

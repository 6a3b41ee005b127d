"""What `runner config show`, `strategies` and `agents` print."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import cast

from runner.agents.frameworks.framework import Framework
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


def agents(built_in: Mapping[str, str], frameworks: Iterable[Framework], *, as_json: bool) -> str:
    """The built-in agents by their names, and the frameworks of other people's."""
    if as_json:
        return to_json({"built_in": built_in, "frameworks": [*map(_framework, frameworks)]})
    rows = [(one.name, f"{one.package} {one.version}", *_can(one)) for one in frameworks]
    heads = ("framework", "tried with", "takes", "asks", "many")
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    table = ["  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
             for row in (heads, *rows)]  # fmt: skip
    listed = names(built_in, "runner serve package.module:attribute", as_json=False)
    return "\n".join([
        listed,
        "a function, an object, a class or factory that makes one, or an agent of one of",
        "these frameworks:",
        "",
        *table,
        "",
        "LangGraph: agents of LangChain too.",
        "takes: what a message may hold beside text.",
        "asks: it may need a person, to approve a tool or answer a question.",
        "many: one object answers in many conversations at once; no: one turn at a time,",
        "unless a factory makes an object for each.",
    ])  # fmt: skip


def _can(one: Framework) -> tuple[str, str, str]:
    takes = ", ".join(sorted(one.takes)) or "text only"
    return takes, "yes" if one.asks else "no", "yes" if one.is_shared else "no"


def _framework(one: Framework) -> dict[str, object]:
    return {
        "name": one.name,
        "package": one.package,
        "tried_with": one.version,
        "takes": sorted({"text", *one.takes}),
        "asks": one.asks,
        "at_once": one.is_shared,
    }


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

"""Secrets: what of a setting may be shown to people."""

from __future__ import annotations

import re
from typing import cast

MASK = "***"

SECRET_KEY = re.compile(r"token|secret|passw|credential|(^|_)key|apikey", re.IGNORECASE)
URL_PASSWORD = re.compile(r"(://[^/@\s:]*:)[^@\s]*@")


def shown(path: tuple[str, ...], value: object) -> object:
    """The setting's value, with passwords, keys and tokens masked."""
    if isinstance(value, list | tuple):
        return [shown(path, part) for part in cast("list[object]", value)]
    if isinstance(value, dict):
        table = cast("dict[str, object]", value)
        return {key: shown((*path, key), part) for key, part in table.items()}
    if path[:2] == ("server", "tokens"):
        return MASK
    if isinstance(value, str):
        return MASK if any(SECRET_KEY.search(key) for key in path) else without_password(value)
    return value


def without_password(url: str) -> str:
    """A URL as it may be shown."""
    return URL_PASSWORD.sub(rf"\1{MASK}@", url)

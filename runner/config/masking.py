"""Secrets: what of a setting may be shown to people.

Options are free, so nobody can list the keys that hold a secret. Where in doubt the value is
masked: a masked `sort_key` costs a look into the file, a shown `accessKey` costs the key.
"""

from __future__ import annotations

import re
from typing import cast
from urllib.parse import unquote

MASK = "***"

WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
"""The words of a key: of `accessKey`, `X-Api-Key`, `API_KEY` and `APIKey` alike."""

SECRET = re.compile(
    r".*(token|secret|passw|passphrase|credential|bearer|pwd|jwt).*"
    r"|.*(auth|pass|creds?|cookie)|auth(?!or(s|ed|ity)?$).*"
    r"|.*(?<!mon)(?<!don)(?<!tur)(?<!hoc)(?<!jock)(?<!whis)keys?"
    r"|pats?|pw|dsn|sig|signature|otp|pin|pem|sas|private"
)
"""A word that makes its value a secret: `monkey`, `author` and `path` have none of them."""

TOKENS = re.compile(r"(de)?tokeni[sz].*|tokens?")
COUNTS = frozenset({"budget", "count", "limit", "max", "maximum", "min", "num", "number", "per"})
"""Beside one of these, `tokens` are the words of a model, as in `max_tokens`."""

IN_TEXT = re.compile(r"""([\w%.-]+)(["']?\s*=\s*|["']\s*:\s*|:\s+)(\S[^&;\r\n]*)""")
"""`api_key=...` of a query or a DSN, `Authorization: ...`, `"password": ...`."""

IN_URL = (
    re.compile(r"(://[^\s/@:]*:)\S*(@)"),  # To the last @: a password may have one.
    re.compile(r"(://)[^\s/?#:]*(@)"),  # One name alone may be a token: https://TOKEN@host
    re.compile(r"(?<![^\s'\"=,])([^\s/@:'\"]+:)(?!//)\S*(@)"),  # me:password@host
)
BY_SHAPE = re.compile(
    r"\b(?:bearer\s+\S+|[sprw]k-[\w-]{8,}|gh[a-z]_\w{8,}|github_pat_\w+|glpat-[\w-]+"
    r"|xox[a-z]-[\w-]+|hf_\w{8,}|AKIA\w{8,}|AIza[\w-]{8,}|eyJ[\w-]{8,}[\w.-]*)",
    re.IGNORECASE,
)
"""What looks like a token of a known service, whatever the key."""


def shown(path: tuple[str, ...], value: object) -> object:
    """The setting's value, with passwords, keys and tokens masked."""
    if isinstance(value, list | tuple):
        return [shown(path, part) for part in cast("list[object]", value)]
    if isinstance(value, dict):
        table = cast("dict[str, object]", value)
        return {key: shown((*path, key), part) for key, part in table.items()}
    if value is None or isinstance(value, bool):
        return value
    if path[:2] == ("server", "tokens") or any(is_secret(key) for key in path[1:]):
        return MASK
    return without_secrets(value) if isinstance(value, str) else value


def is_secret(key: str) -> bool:
    """Whether a value under this key may be a secret."""
    words = [word.lower() for word in WORD.findall(unquote(key))]
    counts = not COUNTS.isdisjoint(words)
    told = [w for w in words if not (TOKENS.fullmatch(w) and (counts or "tokeni" in w))]
    return any(SECRET.fullmatch(word) for word in told)


def without_secrets(text: str) -> str:
    """A text, such as a URL, as it may be shown."""
    for pattern in IN_URL:
        text = pattern.sub(rf"\1{MASK}\2", text)
    return BY_SHAPE.sub(MASK, IN_TEXT.sub(_masked_pair, text))


def _masked_pair(found: re.Match[str]) -> str:
    key, between, value = found.groups()
    if is_secret(key):
        return f"{key}{between}{MASK}"
    # In the value there may be another pair: `host=h password=...`, `note: api_key=...`.
    return f"{key}{between}{IN_TEXT.sub(_masked_pair, value)}"

"""Names that a client gives: what the interface does not have is refused, never ignored.

A field or a parameter that is passed over looks to its sender as if it had counted: a
mistyped `?conversation=` would show another conversation with a 200.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from difflib import get_close_matches
from urllib.parse import parse_qsl

from runner.api.problems import wrong_field

FIELDS = ("message", "conversation_id", "metadata", "resume")
_KNOWN = frozenset(FIELDS)

SHOWN = 64
"""Characters of a name that an answer repeats: it may have been a megabyte."""


def check_fields(fields: Collection[str]) -> None:
    """Raise RequestError for a body of `POST /chat` with a field that it does not have."""
    if _KNOWN.issuperset(fields):
        return
    name = next(name for name in fields if name not in _KNOWN)
    shown = _printable(name)
    detail = (
        f'There is no field "{shown}".{_did_you_mean(shown, FIELDS)} '
        'The body takes "message" or "resume", and "conversation_id" and "metadata".'
    )
    raise wrong_field(f"/{as_pointer(name)}", detail)


def parse_query(query: bytes, known: Collection[str]) -> dict[str, str]:
    """The parameters of a query by their names. Raises RequestError for others, and for two."""
    found: dict[str, str] = {}
    for name, value in parse_qsl(query.decode("latin1"), keep_blank_values=True):
        shown = _printable(name)
        if name not in known:
            takes = " and ".join(known) or "no parameters"
            detail = f'There is no parameter "{shown}".{_did_you_mean(shown, known)} '
            raise wrong_field(f"?{shown}", f"{detail}This path takes {takes}.")
        if name in found:
            raise wrong_field(f"?{shown}", f'The parameter "{shown}" stands twice.')
        found[name] = value
    return found


def known_query(query: bytes, known: Collection[str]) -> dict[str, str]:
    """Those of a query's parameters that are known; of one that is repeated, the last."""
    found = parse_qsl(query.decode("latin1"), keep_blank_values=True)
    return {name: value for name, value in found if name in known}


def _did_you_mean(name: str, known: Iterable[str]) -> str:
    close = get_close_matches(name, known, n=1)
    return f' Did you mean "{close[0]}"?' if close else ""


def as_pointer(name: str) -> str:
    """A name as a part of a JSON pointer (RFC 6901), cut where it is long."""
    return _printable(name).replace("~", "~0").replace("/", "~1")


def _printable(name: str) -> str:
    """Cut, and without half a surrogate pair, which JSON has and UTF-8 has not."""
    whole = name.encode(errors="backslashreplace").decode()
    return whole if len(whole) <= SHOWN else f"{whole[:SHOWN]}..."

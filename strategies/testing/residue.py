"""What a strategy still holds of turns that have ended."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from ..base import Turn


def residue(strategy: object, names: Collection[str]) -> list[str]:
    """Turns, and these names of conversations and callers, that can be reached from the strategy.

    Follows containers and the attributes of objects that the standard library
    did not define; so it needs to know nothing of the strategy.
    """
    found: list[str] = []
    seen: set[int] = set()
    stack: list[Any] = [strategy]
    while stack:
        thing = stack.pop()
        if id(thing) in seen:
            continue
        seen.add(id(thing))
        if isinstance(thing, Turn):
            found.append(repr(thing))
        elif isinstance(thing, str):
            if thing in names:
                found.append(f"the name {thing!r}")
        else:
            stack.extend(_parts(thing))
    return found


def _parts(thing: Any) -> Iterator[Any]:
    if isinstance(thing, Mapping):
        items: Any = thing.items()  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        for item in items:
            yield from item
    elif hasattr(thing, "__iter__") and hasattr(thing, "__len__"):
        yield from list(thing)
    elif type(thing).__module__.partition(".")[0] not in {"builtins", "asyncio", "_asyncio"}:
        names = list(getattr(thing, "__dict__", {}))
        for kind in type(thing).__mro__:
            slots = getattr(kind, "__slots__", ())
            names.extend([slots] if isinstance(slots, str) else slots)
        yield from (getattr(thing, name) for name in names if hasattr(thing, name))

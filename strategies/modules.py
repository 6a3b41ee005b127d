"""A module of the user's folder whose name is taken by another."""

from __future__ import annotations

from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path


def hidden_here(name: str) -> str:
    """That the module `name` in this folder cannot be imported, why, and the remedy; or ""."""
    with suppress(ValueError):  # A name that is no module's, or `__main__`.
        path, top = Path(*name.split(".")), name.partition(".")[0]
        mine = [file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()]
        found = find_spec(top) if mine else None
        if found is None:
            return ""
        places = [*(found.submodule_search_locations or ()), found.origin or top]
        if any(Path(place).parent.resolve() == Path.cwd().resolve() for place in places):
            return ""
        owner = places[0] if Path(places[0]).exists() else "Python itself"
        return (
            f"{mine[0]} in this folder cannot be imported, because the name {top!r} belongs to "
            f"{owner}. Rename yours"
        )
    return ""

"""From `package.module:attribute` to what it names, and what is said where nothing goes by it."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterable
from contextlib import suppress
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path
from pkgutil import iter_modules
from typing import Any


class NothingNamed(ValueError):
    """Nothing goes by this name. Says what is missing, and what was likely meant."""


def find_named(name: str, *, noun: str = "", usual: str = "agent") -> Any:
    """What `package.module:attribute` names. `noun` says what it should be, such as "class ".

    Raises NothingNamed. What the module raises when it is imported passes through.
    """
    module_name, _, path = name.partition(":")
    found = _import(name, module_name, usual)
    for attribute in path.split("."):
        if not hasattr(found, attribute):
            if hidden := hidden_here(module_name):
                raise NothingNamed(hidden)
            known = [one for one in dir(found) if not one.startswith("_")]
            hint = did_you_mean(attribute, known) or _own_names(found)
            raise NothingNamed(f"{module_name} has no {noun}{path!r}{hint}")
        found = getattr(found, attribute)
    return found


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The end of a sentence, or "" where nothing known is like the name."""
    close = get_close_matches(name, known, n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def respelt(name: str, usual: str = "agent") -> str:
    """What was likely meant by `my.py:agent`, `my/module:agent`, `my.agent` or `my`, or ""."""
    file, _, attribute = name.partition(":")
    module = file.removeprefix("./").removesuffix(".py").replace("/", ".")
    attribute = attribute.strip(":")
    if not attribute and module == file and "." in module:
        module, _, attribute = module.rpartition(".")
    elif not attribute and module == file and not _is_module(module):
        return ""
    meant = f"{module}:{attribute or usual}"
    names_one = all(part.isidentifier() for part in module.split("."))
    return meant if names_one and meant != name else ""


def _is_module(name: str) -> bool:
    with suppress(ValueError):  # As `__main__` gives.
        return name.isidentifier() and find_spec(name) is not None
    return False


def _import(name: str, module_name: str, usual: str) -> object:
    if not module_name or module_name.startswith("."):
        raise NothingNamed(f"there is no module {module_name!r}{_meant(name, usual)}")
    try:
        return importlib.import_module(module_name)
    except ImportError as error:
        if hidden := hidden_here(error.name or "") or hidden_here(module_name):
            raise NothingNamed(hidden) from error
        absent = error.name if isinstance(error, ModuleNotFoundError) else None
        if absent is None or not f"{module_name}.".startswith(f"{absent}."):
            raise  # Something that the module itself imports is missing.
        missing = f"there is no module {error.name!r} here ({os.getcwd()}) or installed"
        raise NothingNamed(f"{missing}{_meant(name, usual)}") from error


def _meant(name: str, usual: str) -> str:
    if meant := respelt(name, usual):
        return f"; did you mean {meant!r}?"
    module_name, colon, attribute = name.partition(":")
    here = (module.name for module in iter_modules([os.getcwd()]))
    close = get_close_matches(module_name, here, n=1)
    return f"; did you mean {f'{close[0]}{colon}{attribute}'!r}?" if close else ""


def _own_names(module: object) -> str:
    """What a module defines itself that can be called: at most a few of it."""
    name = getattr(module, "__name__", "")
    own = [
        key
        for key, value in getattr(module, "__dict__", {}).items()
        if callable(value) and not key.startswith("_") and value.__module__ == name
    ]
    return f"; it has {', '.join(own[:5])}" if own else ""


def hidden_here(name: str) -> str:
    """That the module `name` in this folder cannot be imported, as another has its name; or ""."""
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

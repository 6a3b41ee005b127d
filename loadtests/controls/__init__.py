"""The controls: what is compared only to show how it fails. They have short names here."""

from __future__ import annotations

from strategies import Attempt, Limits, Reply, Turn, registry

CONTROLS = {
    "unprotected": "loadtests.controls.unprotected:Unprotected",
    "origin": "loadtests.controls.origin:Origin",
}
"""Name -> dotted name, by which a server finds it."""


def dotted(name: str) -> str:
    """The name by which a server knows the strategy."""
    return CONTROLS.get(name, name)


def is_control(name: str) -> bool:
    """Whether its faults are expected, so that they are no failure of a comparison."""
    return name in CONTROLS or name in CONTROLS.values()


def check(name: str) -> None:
    """That there is a strategy of this name which can be made. Raises UnknownStrategy."""
    try:
        registry.make(dotted(name), _nobody, Limits(), {})
    except registry.UnknownStrategy:
        raise
    except (TypeError, ValueError) as error:
        raise registry.UnknownStrategy(f"strategy {name!r}: {error}") from error


async def _nobody(turn: Turn, attempt: Attempt) -> Reply:
    raise NotImplementedError


def find(name: str) -> registry.Factory:
    """The strategy of this name, the controls included. Raises UnknownStrategy."""
    return registry.find(dotted(name))

"""The controls: what is compared only to show how it fails. They have short names here."""

from __future__ import annotations

from strategies import registry

CONTROLS = {
    "unprotected": "loadtests.unprotected:Unprotected",
    "origin": "loadtests.origin:Origin",
}
"""Name -> dotted name, by which a server finds it."""


def dotted(name: str) -> str:
    """The name by which a server knows the strategy."""
    return CONTROLS.get(name, name)


def is_control(name: str) -> bool:
    """Whether its faults are expected, so that they are no failure of a comparison."""
    return name in CONTROLS or name in CONTROLS.values()


def find(name: str) -> registry.Factory:
    """The strategy of this name, the controls included. Raises UnknownStrategy."""
    return registry.find(dotted(name))

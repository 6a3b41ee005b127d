"""The explorer finds every mistake that we could think of, within 1,000 schedules each."""

from __future__ import annotations

import importlib
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

import strategies
from tests.strategies.mutants import MUTANTS, Mutant

SCHEDULES = 1_000
SOME = MUTANTS[::10]
"""For the fast tests; the others die in the slow ones."""
THE_OTHERS = [each for each in MUTANTS if each not in SOME]
SOURCE = Path(strategies.__file__).parent


@pytest.fixture
def transplant(tmp_path: Path) -> Iterator[Callable[[Mutant], ModuleType]]:
    """Import a copy of the package with the mutant in it, under a name of its own."""
    name = f"mutated_{tmp_path.name}".replace("-", "_")

    def make(mutant: Mutant) -> ModuleType:
        shutil.copytree(SOURCE, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
        file = tmp_path / name / f"{mutant.module}.py"
        file.write_text(mutant.applied_to(file.read_text()))
        return importlib.import_module(name)

    sys.path.insert(0, str(tmp_path))
    yield make
    sys.path.remove(str(tmp_path))
    for module in [module for module in sys.modules if module.startswith(name)]:
        del sys.modules[module]


@pytest.mark.parametrize("mutant", SOME, ids=lambda mutant: mutant.mistake)
def test_the_explorer_kills_some(
    mutant: Mutant, transplant: Callable[[Mutant], ModuleType]
) -> None:
    kill(mutant, transplant)


@pytest.mark.slow
@pytest.mark.parametrize("mutant", THE_OTHERS, ids=lambda mutant: mutant.mistake)
def test_the_explorer_kills(mutant: Mutant, transplant: Callable[[Mutant], ModuleType]) -> None:
    kill(mutant, transplant)


def kill(mutant: Mutant, transplant: Callable[[Mutant], ModuleType]) -> None:
    package = transplant(mutant)
    registry = importlib.import_module(f"{package.__name__}.registry")
    testing = importlib.import_module(f"{package.__name__}.testing")
    broken = registry.find(mutant.strategy)
    assert broken.__module__.startswith(package.__name__)
    with pytest.raises(testing.BrokenPromise):
        testing.explore(broken, SCHEDULES, bounds=mutant.strategy not in ("lock", "reject"))


def test_there_are_at_least_63_mutants() -> None:
    assert len({(mutant.at, mutant.old, mutant.new) for mutant in MUTANTS}) >= 63


def test_a_change_of_layout_or_of_words_breaks_no_mutant() -> None:
    source = (
        "class A:\n    def b(self):\n        # Why.\n        return f(\n            1,\n        )\n"
    )
    assert "return g(1)" in Mutant("", "m.A.b", "f(1)", "g(1)").applied_to(source)
    assert "pass" in Mutant("", "m.A.b", "return f").applied_to(source)

"""Every invariant has a test that names it, in its name or a docstring; what has none is told here.

The invariants are numbered I-1 to I-33. Those from I-27 on came later than the tests.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

LAST = 33

NOT_YET = {
    32: "there is one door, /chat; the others are to come",
}
"""Why an invariant has no test. Take the entry out when it has one: the test below insists."""

TESTS = Path(__file__).parent


def texts(path: Path) -> Iterator[str]:
    """The docstrings of the module and its tests, and the tests' names."""
    module = ast.parse(path.read_text())
    yield ast.get_docstring(module) or ""
    for node in ast.walk(module):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield f"{node.name} {ast.get_docstring(node) or ''}"


def numbers(text: str) -> set[int]:
    """Those that a text names, as `I-7`, or `i_7` in the name of a test."""
    return {int(number) for number in re.findall(r"(?:\bI-|_i_)(\d+)(?!\d)", text)}


def named() -> set[int]:
    paths = [path for path in TESTS.rglob("test_*.py") if path != Path(__file__)]
    return {number for path in paths for text in texts(path) for number in numbers(text)}


NAMED = named()


@pytest.mark.parametrize("number", [n for n in range(1, LAST + 1) if n not in NOT_YET])
def test_every_invariant_is_named_by_a_test(number: int) -> None:
    assert number in NAMED, f"no test says I-{number}"


@pytest.mark.parametrize("number", NOT_YET)
def test_what_is_said_to_have_no_test_has_none(number: int) -> None:
    assert number not in NAMED, f"I-{number} has a test now: take it out of NOT_YET"


def test_no_test_names_an_invariant_that_does_not_exist() -> None:
    assert set(range(1, LAST + 1)) >= NAMED

"""The numbers of the invariants stand in the docstrings of the tests that show them."""

from __future__ import annotations

import re
from pathlib import Path

# I-19 (idempotency keys) and I-23 (engines) come with the features that they are about.
NUMBERS = {*range(1, 19), 20, 21, 22, 24, 25, 26}


def test_every_invariant_has_a_test() -> None:
    here = Path(__file__)
    text = "".join(path.read_text() for path in here.parent.rglob("test_*.py") if path != here)
    named = {int(number) for number in re.findall(r"\bI-(\d+)\b", text)}
    assert named >= NUMBERS

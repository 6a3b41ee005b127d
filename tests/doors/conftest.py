"""The doors are tested where other people's clients are installed: `make test-doors`."""

from __future__ import annotations

from importlib.util import find_spec

HAS_CLIENTS = find_spec("openai") is not None

collect_ignore_glob = [] if HAS_CLIENTS else ["test_*.py"]


def pytest_report_header() -> str | None:
    return None if HAS_CLIENTS else "tests/doors: not here, but in `make test-doors`"

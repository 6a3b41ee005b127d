"""The table in docs/frameworks.md: which framework has what, as the last run has found."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from tests.frameworks.scenarios import Scenarios
from tests.support.server import ROOT

PAGE = ROOT / "docs" / "frameworks.md"

BEGIN, END = "<!-- The tests write this table. -->\n", "<!-- Up to here. -->\n"

COLUMNS = (
    "state", "streams", "tool events", "tool results", "asks", "images", "several at once",
    "stops at once",
)  # fmt: skip

Row = dict[str, Any]
"""`version`, and True or False for each column that was tested."""


class Findings:
    """The rows of one run, by their names; and which tests did not run."""

    def __init__(self) -> None:
        self._rows: dict[str, Row] = {}
        self._skipped: list[str] = []

    def place(self, scenarios: type[Scenarios], test: str) -> list[tuple[str, str]]:
        """What a test's report has to say, to be added later: its row and its column."""
        title = scenarios.title or scenarios.framework.name
        package = scenarios.package or scenarios.framework.package
        kind = next(kind for kind in scenarios.__mro__ if test in vars(kind))
        column = str(vars(kind).get("holds", ""))
        return [("row", title), ("version", version(package)), ("column", column)]

    def add(self, report: pytest.TestReport) -> None:
        if report.skipped:
            self._skipped.append(report.nodeid)
        said: dict[str, Any] = dict(report.user_properties)
        if "row" in said:
            row = self._rows.setdefault(said["row"], {"version": said["version"]})
            if column := said["column"]:
                row[column] = row.get(column, True) and report.passed

    def write(self, file: Path) -> None:
        file.write_text(json.dumps({"rows": self._rows, "skipped": self._skipped}))


def markdown(rows: Mapping[str, Row]) -> str:
    lines = [["framework", "version", *COLUMNS], ["---"] * (2 + len(COLUMNS))]
    for name in sorted(rows, key=str.lower):
        row = rows[name]
        words = {True: "yes", False: "FAILS", None: "no"}
        cells = [words[row.get(column)] for column in COLUMNS]
        lines.append([name, row["version"], *cells])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def written() -> str:
    """The table that is in the page."""
    return PAGE.read_text().partition(BEGIN)[2].partition(END)[0]


def write(table: str) -> None:
    page = PAGE.read_text()
    before, after = page.partition(BEGIN)[0], page.partition(END)[2]
    PAGE.write_text(f"{before}{BEGIN}{table}{END}{after}")

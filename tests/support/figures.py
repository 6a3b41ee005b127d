"""What `GET /metrics` says, as numbers."""

from __future__ import annotations

from typing import Any

from tests.support.client import until
from tests.support.server import Server

Figures = dict[str, float]
"""By their series, as they are written: `name{label="value"}`."""


def parse(text: bytes) -> Figures:
    lines = (line for line in text.decode().splitlines() if not line.startswith("#"))
    return {series: float(value) for series, _, value in (line.rpartition(" ") for line in lines)}


def figures(server: Server) -> Figures:
    answer = server.request("GET", "/metrics")
    assert answer.status == 200, answer
    return parse(answer.body)


def labelled(shown: Figures, name: str, label: str) -> Figures:
    """The values of one name, by what its one label is."""
    begin = f'{name}{{{label}="'
    return {
        series.removeprefix(begin).removesuffix('"}'): value
        for series, value in shown.items()
        if series.startswith(begin)
    }


def with_health(server: Server) -> tuple[dict[str, Any], Figures]:
    """`/health` and `/metrics` of the same state: it was asked before and after."""
    seen: list[tuple[dict[str, Any], Figures]] = []

    def still() -> bool:
        before = _counted(server.health())
        seen.append((before, figures(server)))
        return _counted(server.health()) == before

    until(still, "nothing moves while both are read")
    return seen[-1]


def _counted(health: dict[str, Any]) -> dict[str, Any]:
    return {name: health[name] for name in ("queue_depth", "running", "turns")}

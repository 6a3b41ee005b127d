"""A real Prometheus scrapes a server, and the dashboard and alerts of the docs work in it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.client import until
from tests.support.prometheus import EXAMPLES, HOW_TO_HAVE_IT, MISSING, Prometheus, promtool
from tests.support.server import ROOT, Knobs, Server

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(MISSING), reason=HOW_TO_HAVE_IT),
]

TOKEN = "token-of-prometheus"

LABELS = ("cause", "le", "operation", "outcome")

DASHBOARD: dict[str, Any] = json.loads((EXAMPLES / "grafana.json").read_text())
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]
VARIABLES = {"$__rate_interval": "1m", "$job": "turnline", "$instance": ".*"}


def filled(expression: str) -> str:
    for name, value in VARIABLES.items():
        expression = expression.replace(name, value)
    return expression


OF_PANELS = [filled(target["expr"]) for panel in PANELS for target in panel["targets"]]
OF_ALERTS = [
    expression.strip()
    for block in re.findall(
        r"^ +expr: (\|\n(?: {10}.*\n)+|.*\n)", (EXAMPLES / "alerts.yml").read_text(), re.MULTILINE
    )
    for expression in (block.removeprefix("|\n"),)
]
OF_DOCS = re.findall(r"```promql\n(.*?)```", (ROOT / "docs" / "metrics.md").read_text(), re.DOTALL)

OF_THE_SYSTEM = set(
    re.findall(r"^\| `(turnline_system_\w+)`", (ROOT / "docs" / "metrics.md").read_text(), re.M)
)
"""They are there where many processes may serve: see tests/engine/test_system.py."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    knobs: Knobs = {"strategy__name": "reject", "server__tokens": [f"monitor:{TOKEN}"]}
    with Server(tmp_path_factory.mktemp("server"), **knobs) as running:
        yield running


@pytest.fixture(scope="module")
def prometheus(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """It has seen turns that were answered, failed, refused and cancelled."""
    with Prometheus(tmp_path_factory.mktemp("prometheus"), server.port, TOKEN) as running:
        until(lambda: bool(running.query("up == 1")), "it scrapes the server")
        own = {"authorization": f"Bearer {TOKEN}"}
        assert server.chat("hello", **own).status == 200
        assert server.chat("raise Exception", **own).status == 502
        background = {**own, "prefer": "respond-async"}
        turn_id = server.chat("hang", **background).json["turn_id"]
        assert server.chat("hello", **own).status == 409
        assert server.request("DELETE", f"/turns/{turn_id}", headers=own).status == 200
        running.until_scraped(3)
        yield running


def names_in(expression: str) -> set[str]:
    """The metrics that it reads: names that are no function, label, keyword or duration."""
    bare = re.sub(r'"[^"]*"|\{[^}]*\}|\[[^]]*\]|\b(?:by|without|on)\s*\([^)]*\)', " ", expression)
    bare = re.sub(r"\b(?:and|or|unless|offset|bool)\b", " ", bare)
    return set(re.findall(r"\b[a-zA-Z_:][\w:]*\b(?!\s*\()", bare))


def values_in(expression: str) -> set[tuple[str, str]]:
    """The values of our labels that it names, with their label."""
    matchers = re.findall(rf'\b({"|".join(LABELS)})\s*(?:=|!=|=~|!~)\s*"([^"]*)"', expression)
    return {(label, value) for label, values in matchers for value in values.split("|")}


def test_the_configuration_and_the_rules_are_what_promtool_calls_correct() -> None:
    assert "SUCCESS: 7 rules found" in promtool("check", "rules", "alerts.yml")


def test_each_alert_fires_when_it_should_and_not_before() -> None:
    assert "SUCCESS" in promtool("test", "rules", "alerts_test.yml")
    tested = (EXAMPLES / "alerts_test.yml").read_text()
    alerts = re.findall(r"alert: (\w+)", (EXAMPLES / "alerts.yml").read_text())
    assert [name for name in alerts if f"alertname: {name}\n" not in tested] == []


def test_it_scrapes_a_server_that_needs_a_token(server: Server, prometheus: Prometheus) -> None:
    promtool("check", "config", "prometheus.yml", folder=prometheus.folder)
    target = prometheus.target()
    assert (target["health"], target["lastError"]) == ("up", "")
    turns = server.request("GET", "/health", headers={"authorization": f"Bearer {TOKEN}"})
    expected = {name: turns.json["turns"][name] for name in ("answered", "failed", "cancelled")}
    samples = prometheus.query("turnline_turns_total > 0")
    assert {one["metric"]["outcome"]: int(one["value"][1]) for one in samples} == expected


def test_as_it_is_it_scrapes_a_server_that_needs_none(tmp_path: Path) -> None:
    with Server(tmp_path) as server, Prometheus(tmp_path / "its", server.port) as its:
        until(lambda: bool(its.query("up == 1")), "it scrapes the server")


def test_a_scrape_without_a_token_is_seen_as_down(server: Server, tmp_path: Path) -> None:
    with Prometheus(tmp_path, server.port, "no-token-of-it") as stranger:
        until(lambda: bool(stranger.query("up == 0")), "it is not answered")
        assert "401" in stranger.target()["lastError"]


def test_it_loads_every_alert_and_evaluates_it_without_error(prometheus: Prometheus) -> None:
    def rules() -> list[dict[str, Any]]:
        return [rule for group in prometheus.get("rules")["groups"] for rule in group["rules"]]

    until(lambda: all(rule["health"] != "unknown" for rule in rules()), "each is evaluated")
    assert [rule for rule in rules() if rule["health"] != "ok"] == []
    assert len(rules()) == len(OF_ALERTS) == 7


@pytest.mark.parametrize("expression", OF_PANELS)
def test_each_panel_of_the_dashboard_has_data(prometheus: Prometheus, expression: str) -> None:
    assert prometheus.query(expression)


@pytest.mark.parametrize("expression", [*OF_PANELS, *OF_ALERTS, *OF_DOCS])
def test_an_expression_names_only_what_there_is(prometheus: Prometheus, expression: str) -> None:
    prometheus.query(expression)
    names = names_in(expression)
    assert names
    assert names - set(prometheus.get("label/__name__/values")) - OF_THE_SYSTEM == set()
    known = {
        (label, value) for label in LABELS for value in prometheus.get(f"label/{label}/values")
    }
    assert values_in(expression) - known == set()


def test_the_dashboard_asks_the_data_source_that_its_reader_chooses() -> None:
    sources = re.findall(r'"uid": "([^"]*)"', json.dumps(PANELS))
    assert set(sources) == {"${datasource}"}
    assert [one["name"] for one in DASHBOARD["templating"]["list"]] == [
        "datasource", "job", "instance",
    ]  # fmt: skip

"""Each command: what it prints and its exit status."""

from __future__ import annotations

import json
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from subprocess import Popen
from typing import Any, cast

import pytest

from runner.agents.frameworks.framework import Framework
from runner.cli import tables
from tests.support.client import PATIENCE_S

Run = Callable[..., tuple[int, str, str]]
Start = Callable[..., Popen[str]]


def test_help_says_where_settings_come_from_and_names_every_command(run: Run) -> None:
    status, out, _ = run("--help")
    assert status == 0
    for word in ("RUNNER_SERVER__PORT", "runner.toml", "pyproject.toml", "Exit status", "Examples"):
        assert word in out
    own = (
        "serve",
        "chat",
        "top",
        "strategies",
        "doors",
        "agents",
        "config",
        "completion",
        "migrate",
    )
    for command in (*own, "export", "import", "compare", "probe", "report", "simulate"):
        assert f"\n  {command} " in out
    assert max(map(len, out.splitlines())) <= 90


def test_strategies_are_listed(run: Run) -> None:
    status, out, _ = run("strategies")
    assert status == 0
    assert [line.split(" ")[0] for line in out.splitlines()[:3]] == ["queue", "lock", "reject"]


def test_strategies_are_listed_for_programs(run: Run) -> None:
    status, out, _ = run("strategies", "--json")
    assert status == 0
    assert {"queue", "lock", "reject"} <= json.loads(out).keys()


def test_doors_are_listed(run: Run) -> None:
    status, out, _ = run("doors", "--json")
    assert status == 0
    assert {"openai", "ag_ui", "a2a"} <= json.loads(out).keys()


def test_agents_and_frameworks_are_listed_for_programs(run: Run) -> None:
    status, out, _ = run("agents", "--json")
    assert status == 0
    listed = json.loads(out)
    assert "eliza" in listed["built_in"]
    assert isinstance(listed["frameworks"], list)


def test_each_framework_is_listed_with_what_was_tried_and_what_it_can() -> None:
    adapt = cast("Any", None)
    known = [
        Framework("Long Agents SDK", "long-agents", "1.2.3", frozenset(), adapt, asks=True),
        Framework(
            "B", "b", "0.1", frozenset(), adapt, is_shared=False, takes=frozenset({"image", "file"})
        ),
    ]
    out = tables.agents({"eliza": "stateful"}, known, as_json=False)
    rows = [line.split("  ") for line in out.splitlines()]
    cells = [[cell.strip() for cell in row if cell] for row in rows]
    assert ["Long Agents SDK", "long-agents 1.2.3", "text only", "yes", "yes"] in cells
    assert ["B", "b 0.1", "file, image", "no", "no"] in cells
    listed = json.loads(tables.agents({"eliza": "stateful"}, known, as_json=True))["frameworks"]
    assert [one["tried_with"] for one in listed] == ["1.2.3", "0.1"]
    assert [one["takes"] for one in listed] == [["text"], ["file", "image", "text"]]


def test_the_settings_are_shown_as_a_file_that_could_be_used(run: Run, tmp_path: Path) -> None:
    status, out, _ = run(
        "config", "show", "--describe", "--set", 'agent.options.a b={"c": [1, null, "\U0001f600"]}'
    )
    assert status == 0
    shown = tomllib.loads(out)
    assert shown["server"]["port"] == 8080
    assert shown["agent"]["options"] == {"a b": {"c": [1, "none", "\U0001f600"]}}
    (tmp_path / "runner.toml").write_text(out)
    assert run("config", "show")[0] == 0


def test_each_setting_is_shown_with_its_source(run: Run) -> None:
    out = run("config", "show", "--set", "server.port=1", RUNNER_STRATEGY="lock")[1]
    lines = {" ".join(line.split()) for line in out.splitlines()}
    assert "port = 1 # --set server.port" in lines
    assert 'name = "lock" # RUNNER_STRATEGY' in lines
    assert 'host = "127.0.0.1" # default' in lines


def test_the_settings_are_shown_for_programs(run: Run) -> None:
    status, out, _ = run("config", "show", "--json", RUNNER_AGENT__OPTIONS__X="1")
    assert status == 0
    settings = json.loads(out)["settings"]
    assert settings["agent"]["options.x"]["source"] == "RUNNER_AGENT__OPTIONS__X"
    assert settings["server"]["port"] == {
        "value": 8080,
        "source": "default",
        "description": "port to listen at; 0 takes any free one",
    }


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_no_secret_is_shown(run: Run, form: list[str]) -> None:
    status, out, _ = run(
        "config",
        "show",
        *form,
        RUNNER_SERVER__TOKENS="hidden1",
        RUNNER_AGENT__OPTIONS__API_KEY="hidden2",
        RUNNER_STORE="postgresql://me:hidden3@host/db",
    )
    assert status == 0
    assert "hidden" not in out
    assert "***" in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["config", "show", "--set", "server.prot=1"], "did you mean server.port?"),
        (["config", "show", "--set", "port"], "is not KEY=VALUE"),
        (["config", "check", "--set", "strategy.name=qeue"], "Did you mean 'queue'?"),
        (["config", "check", "--set", "doors.off=ag-ui"], "did you mean 'ag_ui'?"),
        (["serve", "--set", "doors.off=nothing"], "there is no door 'nothing'; there are openai"),
        (["serve", "--port", "x"], "server.port (from --port) is 'x'"),
        (["serve", "--host", "0.0.0.0"], "--insecure"),
        (["config", "check", "--set", "strategy.options.x=1"], "strategy queue: "),
        (["config", "check", "--set", "agent.target=no_such_agent"], "no_such_agent"),
        (["config", "check", "no_such_agent"], "no_such_agent"),
        (["chat", "--url", "localhost:8080"], "such as http://127.0.0.1:8080"),
        (["chat", "--url", "http://h:99999"], "such as http://127.0.0.1:8080"),
        (["completion", "tcsh"], "tcsh"),
    ],
)
def test_what_cannot_be_ends_with_status_2_and_the_reason(
    run: Run, arguments: list[str], said: str
) -> None:
    status, out, err = run(*arguments)
    assert (status, out) == (2, "")
    assert said in err
    assert "Traceback" not in err


@pytest.mark.parametrize("command", [["serve"], ["config", "check"]])
def test_uvicorn_where_it_is_not_installed_is_said_in_a_line(
    run: Run, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    status, out, err = run(*command, "--set", "server.http=uvicorn")
    assert (status, out) == (2, "")
    assert "uvicorn is not installed: " in err.splitlines()[-1]
    assert err.rstrip().endswith("[uvicorn]'")


@pytest.mark.parametrize("command", [["serve"], ["config", "check"]])
def test_opentelemetry_where_it_is_not_installed_is_said_in_a_line(
    run: Run, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk", None)
    status, out, err = run(*command, "--set", "observability.otel=http://127.0.0.1:4318")
    assert (status, out) == (2, "")
    assert "opentelemetry.sdk.trace is not installed: " in err.splitlines()[-1]
    assert err.rstrip().endswith("[otel]'")


def test_an_unknown_strategy_is_not_served(start: Start) -> None:
    process = start("serve", "--strategy", "qeue")
    out, err = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, out) == (2, "")
    assert "Known: queue, lock, reject" in err


def test_a_check_says_what_the_agent_is_taken_for(run: Run, tmp_path: Path) -> None:
    status, out, _ = run("config", "check", "--json")
    assert status == 0
    assert json.loads(out)["valid"] is True
    assert not (tmp_path / "runner.db").exists()


def test_a_check_that_fails_says_so_to_programs(run: Run) -> None:
    status, out, _ = run("config", "check", "--json", "--set", "server.port=x")
    assert status == 2
    assert json.loads(out)["valid"] is False


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_are_printed(run: Run, shell: str) -> None:
    status, out, _ = run("completion", shell)
    assert status == 0
    assert "_RUNNER_COMPLETE" in out

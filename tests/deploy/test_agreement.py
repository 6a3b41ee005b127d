"""Figures and names that stand in two places: times of a shutdown, users, paths, settings."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from runner.config.sources import load
from runner.server.listener import SPARE_DESCRIPTORS
from runner.settings import Settings
from tests.deploy.shipped import DEPLOY, KUBERNETES, UNIT, in_unit
from tests.support.server import ROOT

TOKENS = {"RUNNER_SERVER__TOKENS": "a-token"}

END_S = 2.0
"""What the end takes beside the drain, as docs/operations.md has it."""

DOCKERFILE = (DEPLOY / "Dockerfile").read_text()
COMPOSE = [yaml.safe_load(file.read_text()) for file in sorted(DEPLOY.glob("compose*.yaml"))]
RUNNERS: list[dict[str, Any]] = [
    service
    for file in COMPOSE
    for name, service in file["services"].items()
    if name.startswith("runner")
]
WORKLOADS: list[dict[str, Any]] = [
    yaml.safe_load((KUBERNETES / name).read_text()) for name in ("deployment.yaml", "sqlite.yaml")
]
CONFIG_MAP = yaml.safe_load((KUBERNETES / "configmap.yaml").read_text())


def pod(workload: dict[str, Any]) -> dict[str, Any]:
    spec: dict[str, Any] = workload["spec"]["template"]["spec"]
    return spec


def of_file(text: str, folder: Path) -> Settings:
    file = folder / "runner.toml"
    file.write_text(text)
    return load(environ=TOKENS, folder=folder, config=str(file)).settings


def test_compose_waits_for_the_drain() -> None:
    assert len(RUNNERS) == 3
    for runner in RUNNERS:
        drain_s = float(runner["environment"]["RUNNER_SERVER__DRAIN_S"])
        assert float(runner["stop_grace_period"].removesuffix("s")) >= drain_s + END_S


def test_kubernetes_waits_for_its_pre_stop_and_the_drain(tmp_path: Path) -> None:
    drain_s = of_file(CONFIG_MAP["data"]["runner.toml"], tmp_path).server.drain_s
    for workload in WORKLOADS:
        (container,) = pod(workload)["containers"]
        stop = container.get("lifecycle", {}).get("preStop", {}).get("exec", {})
        slept_s = float(stop.get("command", ["sleep", "0"])[-1])
        grace_s = pod(workload)["terminationGracePeriodSeconds"]
        assert grace_s >= slept_s + drain_s + END_S


def test_systemd_waits_for_the_drain(tmp_path: Path) -> None:
    settings = of_file((DEPLOY / "systemd" / "runner.toml").read_text(), tmp_path)
    assert float(in_unit("TimeoutStopSec")) >= settings.server.drain_s + END_S


def test_as_many_files_may_be_open_as_the_connections_need() -> None:
    needed = Settings().server.max_connections + SPARE_DESCRIPTORS
    assert int(in_unit("LimitNOFILE")) == needed
    assert {runner["ulimits"]["nofile"] for runner in RUNNERS} == {needed}


@pytest.mark.parametrize("name", ["Caddyfile", "Caddyfile.many", "nginx.conf"])
def test_a_proxy_closes_an_idle_connection_before_the_runner_does(name: str) -> None:
    (idle_s,) = re.findall(r"keepalive(?:_timeout)? (\d+)s", (DEPLOY / name).read_text())
    assert float(idle_s) < Settings().server.header_timeout_s


def test_every_variable_that_a_container_is_given_is_a_setting(tmp_path: Path) -> None:
    in_image = dict(re.findall(r"(RUNNER_\w+)=(\S+)", re.sub(r"#.*", "", DOCKERFILE)))
    assert len(in_image) == 4
    of_compose = [
        {name: value for name, value in runner["environment"].items() if "$" not in value}
        for runner in RUNNERS
    ]
    of_kubernetes = [
        {one["name"]: "a-token" for one in container["env"]}
        for workload in WORKLOADS
        for container in pod(workload)["containers"]
    ]
    for given in (*of_compose, *of_kubernetes):
        load(environ={**in_image, **given, **TOKENS}, folder=tmp_path)


def test_all_run_as_the_user_of_the_image_and_write_where_something_is_mounted() -> None:
    user = re.findall(r"^USER (.*)$", DOCKERFILE, re.MULTILINE)[-1]
    (data,) = re.findall(r"^VOLUME (.*)$", DOCKERFILE, re.MULTILINE)
    for runner in RUNNERS:
        assert (runner["user"], runner["read_only"]) == (user, True)
        mounted = [*runner.get("volumes", []), *runner["tmpfs"]]
        assert {"/tmp", data} <= {part for one in mounted for part in one.split(":")}
    for workload in WORKLOADS:
        rights, (container,) = pod(workload)["securityContext"], pod(workload)["containers"]
        assert f"{rights['runAsUser']}:{rights['runAsGroup']}" == user
        assert container["securityContext"]["readOnlyRootFilesystem"]
        assert {"/tmp", data} <= {one["mountPath"] for one in container["volumeMounts"]}


def test_the_build_may_see_all_that_it_copies() -> None:
    seen = (DEPLOY / "Dockerfile.dockerignore").read_text().split("\n!")[1:]
    allowed = [line.splitlines()[0] for line in seen]
    copied = [
        source
        for line in re.findall(r"^COPY (?!--from)(.*)$", DOCKERFILE, re.MULTILINE)
        for source in line.split()[:-1]
    ]
    assert "runner" in copied
    for source in copied:
        assert (ROOT / source).exists()
        assert any(Path(source).match(pattern) for pattern in allowed), source
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
    assert set(packages["targets"]["wheel"]["packages"]) <= set(copied)


def test_the_names_that_select_pods_are_the_names_that_pods_have() -> None:
    for workload in WORKLOADS:
        labels = workload["spec"]["template"]["metadata"]["labels"]
        assert workload["spec"]["selector"]["matchLabels"] == labels
        for name in ("service.yaml", "disruption.yaml"):
            selector = yaml.safe_load((KUBERNETES / name).read_text())["spec"]["selector"]
            assert selector.get("matchLabels", selector) == labels


def test_the_kustomization_names_files_that_are_there() -> None:
    named = yaml.safe_load((KUBERNETES / "kustomization.yaml").read_text())["resources"]
    assert all((KUBERNETES / name).is_file() for name in named)


def test_the_unit_keeps_its_history_where_it_may_write() -> None:
    settings = tomllib.loads((UNIT.with_name("runner.toml")).read_text())
    state = f"/var/lib/{in_unit('StateDirectory')}/"
    assert settings["store"]["url"].removeprefix("sqlite:///").startswith(state)

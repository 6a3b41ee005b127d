"""Each shipped file, read by a linter of its own kind; and a fault that the linter finds."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.deploy.proxies import nginx_main
from tests.deploy.shipped import DEPLOY, KUBERNETES, UNIT, beside_python, found, needs, run

KUBERNETES_VERSIONS = ("1.30.0", "1.37.0")
"""The oldest one whose disruption budgets know unhealthyPodEvictionPolicy for good, and the newest
that kubernetes-validate knows."""

EXPOSED_AT_MOST = 15
"""Of `systemd-analyze security`, in tenths: 0 is a service that can do nothing, 100 one that may
do all. Below 20 it calls a unit OK; this one needs the network, which costs it the most."""

COMPOSE = ("compose.yaml", "compose.postgres.yaml")

Lint = Callable[[Path], tuple[int, str]]


def hadolint(file: Path) -> tuple[int, str]:
    return run(beside_python("hadolint"), "--failure-threshold", "info", str(file))


def compose(file: Path) -> tuple[int, str]:
    command = (beside_python("docker-compose"), "-f", str(file), "config", "--quiet")
    return run(*command, TURNLINE_TOKENS="ann:a-token", POSTGRES_PASSWORD="word")


def kubernetes(*files: Path, version: str = KUBERNETES_VERSIONS[-1]) -> tuple[int, str]:
    validate = (beside_python("kubernetes-validate"), "-k", version, "--strict")
    return run(*validate, *map(str, files))


def systemd(file: Path) -> tuple[int, str]:
    program = beside_python("runner")  # The one of the unit is not here.
    unit = file.with_name("turnline.service")
    unit.write_text(file.read_text().replace("/opt/turnline/bin/runner", program))
    analyze = found("systemd-analyze")
    status, said = run(analyze, "verify", "--man=no", str(unit))
    threshold = f"--threshold={EXPOSED_AT_MOST}"
    exposed, table = run(analyze, "security", "--offline=true", "--no-pager", threshold, str(unit))
    return status or len(said) or exposed, said + table


def caddy(file: Path) -> tuple[int, str]:
    config = ("--adapter", "caddyfile", "--config", str(file))
    status, said = run(found("caddy"), "validate", *config, HOME=str(file.parent))
    form, difference = run(found("caddy"), "fmt", "--diff", str(file), HOME=str(file.parent))
    return status or form, said + difference


def nginx(file: Path) -> tuple[int, str]:
    folder = file.parent
    certificate = ("-newkey", "rsa:2048", "-nodes", "-subj", "/CN=chat.example", "-days", "1")
    pair = ("-keyout", str(folder / "privkey.pem"), "-out", str(folder / "fullchain.pem"))
    assert run("openssl", "req", "-x509", *certificate, *pair)[0] == 0
    main = nginx_main(folder, file.read_text().replace("/etc/ssl/turnline", str(folder)))
    return run(found("nginx"), "-t", "-q", "-c", main)


SHIPPED = [
    pytest.param(hadolint, "Dockerfile", id="Dockerfile"),
    *[pytest.param(compose, name, id=name) for name in COMPOSE],
    pytest.param(systemd, f"systemd/{UNIT.name}", id=UNIT.name, marks=needs("systemd-analyze")),
    *[
        pytest.param(caddy, name, id=name, marks=needs("caddy"))
        for name in ("Caddyfile", "Caddyfile.many")
    ],
    pytest.param(nginx, "nginx.conf", id="nginx.conf", marks=needs("nginx")),
]

BROKEN = [
    pytest.param(hadolint, "Dockerfile", "USER 10001:10001", "USER root", id="hadolint"),
    pytest.param(compose, "compose.yaml", "read_only:", "read_onyl:", id="compose"),
    pytest.param(
        kubernetes,
        "kubernetes/deployment.yaml",
        "terminationGracePeriodSeconds",
        "terminationGraceSeconds",
        id="kubernetes",
    ),
    pytest.param(
        systemd,
        f"systemd/{UNIT.name}",
        "Protect",
        "# Protect",
        id="systemd-exposure",
        marks=needs("systemd-analyze"),
    ),
    pytest.param(
        systemd,
        f"systemd/{UNIT.name}",
        "KillMode=",
        "KilMode=",
        id="systemd-word",
        marks=needs("systemd-analyze"),
    ),
    pytest.param(
        caddy, "Caddyfile", "lb_try_duration", "lb_try_for", id="caddy", marks=needs("caddy")
    ),
    pytest.param(
        nginx, "nginx.conf", "proxy_buffering", "proxy_bufering", id="nginx", marks=needs("nginx")
    ),
]


@pytest.mark.parametrize(("lint", "name"), SHIPPED)
def test_its_linter_finds_nothing(lint: Lint, name: str, tmp_path: Path) -> None:
    status, said = lint(copied(name, tmp_path))
    assert status == 0, said


@pytest.mark.parametrize("version", KUBERNETES_VERSIONS)
def test_every_manifest_is_one_of_kubernetes(version: str) -> None:
    # Not kustomization.yaml: it is kubectl's, and has no schema there.
    files = [file for file in KUBERNETES.glob("*.yaml") if file.name != "kustomization.yaml"]
    assert len(files) > 5
    status, said = kubernetes(*files, version=version)
    assert status == 0, said


@pytest.mark.parametrize(("lint", "name", "right", "wrong"), BROKEN)
def test_its_linter_finds_a_fault(
    lint: Lint, name: str, right: str, wrong: str, tmp_path: Path
) -> None:
    file = copied(name, tmp_path)
    file.write_text(re.sub(re.escape(right), wrong, file.read_text()))
    assert lint(file)[0] != 0


def copied(name: str, folder: Path) -> Path:
    """The file alone: linters write beside what they read, or change it."""
    file = folder / Path(name).name
    file.write_text((DEPLOY / name).read_text())
    return file

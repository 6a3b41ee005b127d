"""Fail where pyproject.toml asks for something that a lock file does not have: run `make lock`.

Reads both as files, so that a newer release on the index is no reason to fail.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent


def locked(name: str) -> dict[str, list[str]]:
    """The versions of each package in a lock file; several where they depend on the Python."""
    versions: dict[str, list[str]] = {}
    for line in (ROOT / name).read_text().splitlines():
        if match := re.match(r"([a-z0-9._-]+)==([^\s;\\]+)", line):
            versions.setdefault(match[1], []).append(match[2])
    return versions


def listed(groups: dict[str, list[Any]], name: str) -> list[str]:
    """What a dependency group asks for, with the groups that it includes."""
    found: list[str] = []
    for one in groups[name]:
        found += [one] if isinstance(one, str) else listed(groups, one["include-group"])
    return found


def faults() -> list[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    base = project["project"]["dependencies"]
    groups = project["dependency-groups"]
    extras = project["project"]["optional-dependencies"]
    wanted = {
        "requirements.lock": base + groups["dev"],
        "requirements-frameworks.lock": base + listed(groups, "frameworks"),
        "requirements-frameworks-crewai.lock": base + listed(groups, "frameworks-crewai"),
        "requirements-clients.lock": base + listed(groups, "clients"),
        "requirements-smollm.lock": base + extras["smollm"],
        "docs/examples/deploy/requirements.lock": base
        + extras["uvicorn"]
        + extras["postgres"]
        + extras["otel"],
    }
    found: list[str] = []
    for name, requirements in wanted.items():
        versions = locked(name)
        for text in requirements:
            requirement = Requirement(text)
            have = versions.get(requirement.name.lower(), [])
            if not have or not all(requirement.specifier.contains(version) for version in have):
                found.append(f"{name}: pyproject.toml asks for {text}, locked: {have or 'none'}")
    return found


if __name__ == "__main__":
    for fault in faults():
        print(fault)
    print("run `make lock`" if faults() else "the lock files are in step with pyproject.toml")
    sys.exit(bool(faults()))

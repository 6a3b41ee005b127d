"""Processes over a Postgres of the test's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.cluster import Cluster
from tests.support.postgres import drop_schema, new_schema


@pytest.fixture
def url() -> Iterator[str]:
    """Of an empty schema."""
    made = new_schema()
    yield made
    drop_schema(made)


@pytest.fixture
def cluster(tmp_path: Path, url: str) -> Iterator[Cluster]:
    """Three processes; tests in which none is killed share nothing but the agent."""
    with Cluster(tmp_path, url) as one:
        yield one

"""Doors that are switched off are not there; the others are."""

from __future__ import annotations

from pathlib import Path

from tests.support.server import Server


def test_a_door_that_is_off_is_not_there(tmp_path: Path) -> None:
    with Server(tmp_path, doors__off=["ag_ui"]) as server:
        assert server.request("POST", "/ag-ui", {}).status == 404
        assert server.request("GET", "/.well-known/agent-card.json").status == 200
        paths = server.request("GET", "/openapi.json").json["paths"]
    assert "/a2a" in paths
    assert "/ag-ui" not in paths

"""The description of the HTTP interface: it is true, it is whole, and its page stands alone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.specs.openapi import checks as openapi_checks

from runner.api.openapi import describe
from runner.api.problems import ALL_CAUSES
from runner.api.routes import ROUTES
from runner.settings import Settings
from tests.support import client
from tests.support.server import Knobs, Server

DOCUMENT = describe(ROUTES, Settings())
schema = schemathesis.openapi.from_dict(DOCUMENT)

HELD_TO = [
    openapi_checks.status_code_conformance,
    openapi_checks.content_type_conformance,
    openapi_checks.response_headers_conformance,
    openapi_checks.response_schema_conformance,
    openapi_checks.unsupported_method,
]


@pytest.fixture(scope="module")
def server(http: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    knobs: Knobs = {"strategy__max_waiting_per_conversation": 1, "store__url": "memory:"}
    with Server(tmp_path_factory.mktemp("openapi"), **knobs) as running:
        yield running


@schema.parametrize()
@settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_the_server_does_what_its_description_says(case: Any, server: Server) -> None:
    response = case.call(base_url=f"http://127.0.0.1:{server.port}", timeout=20)
    case.validate_response(response, checks=HELD_TO)
    assert response.status_code != 500


def test_the_document_is_served_as_it_is_made(server: Server) -> None:
    document = server.request("GET", "/openapi.json").json
    assert document["openapi"].startswith("3.1")
    assert document["paths"] == DOCUMENT["paths"]


def test_every_cause_of_a_problem_is_described() -> None:
    described = str(DOCUMENT["paths"])
    missing = {cause.type for cause in ALL_CAUSES if cause.type not in described}
    assert missing == {"urn:turnline:problem:not-found"}  # Of paths that are not there.


def test_every_route_is_described() -> None:
    described = {
        (method.upper(), path)
        for path, operations in DOCUMENT["paths"].items()
        for method in operations
    }
    assert described == {(route.method, route.path) for route in ROUTES}


def test_with_tokens_the_description_says_so_and_needs_none(folder_server: Server) -> None:
    document = folder_server.request("GET", "/openapi.json").json
    assert document["security"] == [{"token": []}]
    assert folder_server.request("GET", "/docs").status == 200
    assert folder_server.request("GET", "/health").status == 401


@pytest.fixture
def folder_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("tokens"), server__tokens=["t"]) as running:
        yield running


def test_the_page_loads_nothing_from_anywhere(server: Server) -> None:
    page = server.request("GET", "/docs")
    text = page.body.decode()
    assert page.headers["content-security-policy"].startswith("default-src 'none'")
    assert not re.search(r"(src|href)=[\"'](https?:)?//|@import|url\(|<script", text)
    for path in DOCUMENT["paths"]:
        assert path in text


def test_a_description_is_no_place_to_post(server: Server) -> None:
    answer = client.request(server.port, "POST", "/openapi.json", {})
    assert (answer.status, answer.cause) == (405, "method-not-allowed")

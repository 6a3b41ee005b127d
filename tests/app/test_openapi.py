"""The description of the HTTP interface: it is true, it is whole, and its page stands alone."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.specs.openapi import checks as openapi_checks

from runner.api import examples
from runner.api.openapi import describe
from runner.api.problems import ALL_CAUSES
from runner.api.routes import Routes
from runner.doors import routes
from runner.settings import Settings
from runner.web.routes import routes as of_the_page
from tests.support import client
from tests.support.server import Knobs, Server

ADDED = *routes(Settings()), *of_the_page(Settings())
ROUTES = Routes(Settings(), ADDED).all
DOCUMENT = json.loads(json.dumps(describe(ROUTES, Settings())))
OWN = {(route.method.lower(), route.path) for route in Routes(Settings()).all}
OPERATIONS = [
    one
    for path, methods in DOCUMENT["paths"].items()
    for method, one in methods.items()
    if (method, path) in OWN
]
"""Without those of the doors, which their own documents describe."""

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
    assert document["paths"].items() >= DOCUMENT["paths"].items()  # The doors add theirs.


def test_every_cause_of_a_problem_is_described() -> None:
    described = str(DOCUMENT["paths"])
    assert [cause.type for cause in ALL_CAUSES if cause.type not in described] == []


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


def test_the_index_of_the_page_leads_to_every_operation(server: Server) -> None:
    text = server.request("GET", "/docs").body.decode()
    places = re.findall(r'id="([^"]+)"', text)
    assert len(places) == len(set(places))
    assert set(re.findall(r'href="#([^"]+)"', text)) <= set(places)
    index = text.partition("<nav>")[2].partition("</nav>")[0]
    for operation in OPERATIONS:
        assert f'href="#{operation["operationId"]}"' in index


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda shown: shown["operationId"])
def test_every_operation_has_an_example_of_its_request_and_of_its_answer(
    operation: dict[str, Any],
) -> None:
    assert operation["x-codeSamples"]
    for status, answer in operation["responses"].items():
        if status in ("200", "202"):
            for media_type, media in answer.get("content", {}).items():
                described = "example" in media or not media["schema"]  # Those are whole pages.
                assert described, (status, media_type)


def test_every_example_is_what_its_schema_says() -> None:
    found = [*_examples(DOCUMENT)]
    assert len(found) > 15
    for schema, example in found:
        jsonschema_rs.validate({**schema, "components": DOCUMENT["components"]}, example)


@pytest.mark.skipif(shutil.which("curl") is None, reason="the examples are curl's")
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda shown: shown["operationId"])
def test_every_example_of_a_request_does_what_it_says(
    server: Server, operation: dict[str, Any]
) -> None:
    if "conversation" in operation["operationId"]:
        server.chat("so that there is one")
    for sample in operation["x-codeSamples"]:
        turn = server.chat("hello", "examples").json["turn_id"]
        command = sample["source"].replace(examples.TURN_ID, turn)
        command = command.replace(examples.ORIGIN, f"http://127.0.0.1:{server.port}")
        shown = run_curl(command)
        assert str(shown) in operation["responses"], (command, shown)
        assert shown < 300


def run_curl(command: str) -> int:
    """The status that it shows. Done by a shell and curl: quotes and options may be wrong."""
    shell = ["sh", "-c", f"{command} -s -o {os.devnull} -w '%{{http_code}}'"]
    done = subprocess.run(shell, capture_output=True, text=True, timeout=client.LIMIT_S, check=True)
    return int(done.stdout)


def _examples(part: Any) -> Iterator[tuple[dict[str, Any], Any]]:
    """Each schema with an example of it."""
    if isinstance(part, dict):
        if "example" in part:
            yield part["schema"], part["example"]
        for example in part["examples"] if isinstance(part.get("examples"), list) else ():
            yield part, example
    for inner in (
        part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()
    ):
        yield from _examples(inner)


def test_a_description_is_no_place_to_post(server: Server) -> None:
    answer = client.request(server.port, "POST", "/openapi.json", {})
    assert (answer.status, answer.cause) == (405, "method-not-allowed")

"""A door of a user's own: the example of the docs, installed, and what is wrong with others."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from runner.doors import BrokenDoor, check
from runner.settings import Settings
from tests.support.client import encode, send
from tests.support.server import ROOT, Server

EXAMPLE = ROOT / "docs" / "examples" / "door"
PROJECT = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())["project"]
NAMED = PROJECT["entry-points"]["runner.doors"]

HEAD = """
from runner.api.exchange import Answer
from runner.api.operations import door
from runner.doors import Door, Route

async def mine(service, request):
    return Answer(200)
"""


def install(site: Path, package: str, entry_points: dict[str, str], **modules: str) -> None:
    """As pip would have put it there."""
    about = site / f"{package.replace('-', '_')}-1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    named = "".join(f"{name} = {value}\n" for name, value in entry_points.items())
    (about / "entry_points.txt").write_text(f"[runner.doors]\n{named}")
    for module, text in modules.items():
        (site / f"{module}.py").write_text(text)


def install_example(site: Path) -> Path:
    module = (EXAMPLE / "plain_door.py").read_text()
    install(site, PROJECT["name"], NAMED, plain_door=module)
    return site


def serving(folder: Path, packages: Path, *, off: Sequence[str] = ()) -> Server:
    server = Server(folder, doors__off=[*off])
    server.packages = packages
    return server


@pytest.fixture(scope="module")
def http() -> str:
    return "hypercorn"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """With the example installed."""
    site = install_example(tmp_path_factory.mktemp("site"))
    with serving(tmp_path_factory.mktemp("own"), site) as running:
        yield running


def test_a_door_of_ones_own_is_answered_at(server: Server) -> None:
    answers = [server.request("POST", "/say/shell", b"hello\n") for _ in range(2)]
    assert [answer.status for answer in answers] == [200, 200]
    assert [json.loads(answer.body)["before"] for answer in answers] == [0, 2]
    assert server.history("shell")[0]["content"] == "hello"


def test_it_streams(server: Server) -> None:
    head = {"accept": "text/event-stream", "connection": "close"}
    with send(server.port, encode("POST", "/say/stream", b"hello", head)) as connection:
        with connection.makefile("rb") as stream:
            told = [line for line in stream if line.startswith(b"data: ")]
    assert json.loads("".join(json.loads(line[6:]) for line in told))["echo"] == "hello"


def test_its_refusals_are_in_its_own_words(server: Server) -> None:
    answer = server.request("POST", "/say/shell", b"")
    assert answer.status == 422
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.body.startswith(b"A field is missing or wrong: ")


def test_it_is_described_with_all_others(server: Server) -> None:
    described = server.request("GET", "/openapi.json").json["paths"]["/say/{conversation}"]
    assert described["post"]["operationId"] == "say"


def test_it_can_be_switched_off(tmp_path: Path) -> None:
    site = install_example(tmp_path / "site")
    with serving(tmp_path, site, off=["plain"]) as server:
        assert server.request("POST", "/say/shell", b"hello").status == 404
        assert "/say/{conversation}" not in server.request("GET", "/openapi.json").json["paths"]


def doors(site: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "runner", "doors", "--json"],
        cwd=site,
        env={**os.environ, "PYTHONPATH": f"{site}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_it_is_listed(tmp_path: Path) -> None:
    known = json.loads(doors(install_example(tmp_path)).stdout)
    assert {*known} == {"openai", "ag_ui", "a2a", "langgraph", "mcp", "plain"}
    assert known["plain"].startswith("a shell: ")


IN_ITSELF = {
    "it does not import": ("raise RuntimeError('no luck\\nat all')", "RuntimeError: no luck"),
    "it leaves": ("raise SystemExit(3)", "SystemExit: 3"),
    "it needs what is not there": ("import nowhere_at_all", "No module named 'nowhere_at_all'"),
    "it has no such name": ("", "has no attribute 'DOOR'"),
    "it is no door": ("DOOR = 'mine'", "broken:DOOR is str, not a runner.doors.Door"),
    "its name is another one": (
        HEAD + "DOOR = Door('other', '', lambda settings: ())",
        "its Door has another name, 'other'",
    ),
    "it fails to make its routes": (
        HEAD + "DOOR = Door('mine', '', lambda settings: settings.nothing)",
        "AttributeError: 'Settings' object has no attribute 'nothing'",
    ),
    "its routes are none": (
        HEAD + "DOOR = Door('mine', '', lambda settings: ('/mine',))",
        "its routes are not all runner.doors.Route",
    ),
}
"""What a module says, and what is said of it."""


def route(method: str, path: str, handler: str = "mine") -> str:
    made = f"Route({method!r}, {path!r}, {handler}, door('Mine'))"
    return f"{HEAD}DOOR = Door('mine', '', lambda settings: ({made},))"


TAKEN = {
    f"it takes {path}": (route("PUT", path), f"the path {path} is taken")
    for path in ("/chat", "/docs", "/turns/mine", "/conversations/{mine}", "/mcp", "/v1/models/{x}")
}
BADLY_MADE = {
    "its path is none": (route("GET", "mine"), "'GET mine' should be such as 'POST /mine'"),
    "its method is none": (route("get", "/mine"), "'get /mine' should be such as 'POST /mine'"),
    "its path says a name twice": (route("GET", "/{a}/{a}"), "redefinition of group name"),
    "its handler has no name": (route("GET", "/a", "5"), "__name__"),
    "its handler's name is taken": (
        "from runner.api.chat import chat\n" + route("GET", "/mine", "chat"),
        "'chat', its handler's name, is taken",
    ),
}


BROKEN = IN_ITSELF | TAKEN | BADLY_MADE


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of packages for this process."""
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    yield tmp_path
    sys.modules.pop("broken", None)


@pytest.mark.parametrize("what", BROKEN)
def test_one_that_cannot_be_opened_is_told_with_its_package(site: Path, what: str) -> None:
    module, words = BROKEN[what]
    install(site, "broken-door", {"mine": "broken:DOOR"}, broken=module)
    with pytest.raises(BrokenDoor) as raised:
        check(Settings())
    said = str(raised.value)
    assert said.startswith("door 'mine' of the package broken-door: ")
    assert words in said
    assert "\n" not in said


@pytest.mark.parametrize("name", ["mcp", "twice"])
def test_a_name_that_is_taken_is_told_too(site: Path, name: str) -> None:
    for package in ("one", "two"):
        install(site, f"{package}-door", {name: "broken:DOOR"}, broken="raise AssertionError")
    with pytest.raises(BrokenDoor, match=rf"'{name}' of the package \w+-door: the name is taken"):
        check(Settings())


def test_the_server_does_not_start_with_one_that_cannot_be_opened(tmp_path: Path) -> None:
    module = "raise RuntimeError('no luck\\nat all')"
    install(tmp_path, "broken-door", {"mine": "broken:DOOR"}, broken=module)
    status, said = serving(tmp_path, tmp_path).fail()
    problem = "door 'mine' of the package broken-door: RuntimeError: no luck at all"
    assert (status, said) == (2, f"Error: {problem}\n")
    listed = doors(tmp_path)
    assert (listed.returncode, listed.stderr) == (2, f"Error: {problem}\n")


def test_a_broken_one_that_is_off_hinders_nobody(tmp_path: Path) -> None:
    install(tmp_path, "broken-door", {"mine": "broken:DOOR"}, broken="raise AssertionError")
    with serving(tmp_path, tmp_path, off=["mine"]) as server:
        assert server.chat("hello").status == 200


def test_a_path_with_signs_of_patterns_is_that_path_alone(tmp_path: Path) -> None:
    made = route("GET", "/a+b/{c}")
    install(tmp_path, "odd-door", {"mine": "odd:DOOR"}, odd=made)
    with serving(tmp_path, tmp_path) as server:
        assert server.request("GET", "/a+b/c").status == 200
        assert server.request("GET", "/aab/c").status == 404

"""The image's command and the unit's, each as it is shipped, where nothing else can be written."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from pathlib import Path

from tests.deploy.sandbox import Sandbox
from tests.deploy.shipped import DEPLOY, UNIT, in_unit, needs
from tests.support.client import Answer, request

pytestmark = needs("bwrap")

AGENT = '''
import os

def agent(message: str) -> str:
    """Whether a file of this name can be written, and by whom."""
    try:
        open(message, "w").close()
    except OSError as error:
        return type(error).__name__ + f" {os.strerror(error.errno)} {os.getuid()}"
    return f"written {os.getuid()}"
'''

FREE_PORT = {"RUNNER_SERVER__PORT": "0"}


def image(data: Path, app: Path, environment: Mapping[str, str]) -> Sandbox:
    """Its command, variables, folder and volume, as the last stage of the Dockerfile has them."""
    last = (DEPLOY / "Dockerfile").read_text().rpartition("\nFROM ")[2]
    variables = dict(re.findall(r"(RUNNER_\w+|PYTHONDONTWRITEBYTECODE)=(\S+)", last))
    (command,) = re.findall(r'^CMD \["(.*)"\]$', last, re.MULTILINE)
    (folder,) = re.findall(r"^WORKDIR (.*)$", last, re.MULTILINE)
    (volume,) = re.findall(r"^VOLUME (.*)$", last, re.MULTILINE)
    return Sandbox(
        command.split('", "'),
        folder,
        {volume: data},
        {folder: app},
        **{**variables, **FREE_PORT, **environment},
    )


def say(sandbox: Sandbox, message: str) -> Answer:
    headers = {"authorization": "Bearer a-token"}
    return request(sandbox.port, "POST", "/chat", {"message": message}, headers)


def test_the_image_serves_an_agent_of_ones_own_and_writes_to_its_volume_alone(
    tmp_path: Path,
) -> None:
    data, app = tmp_path / "data", tmp_path / "app"
    data.mkdir()
    app.mkdir()
    (app / "agent.py").write_text(AGENT)
    given = {"RUNNER_SERVER__TOKENS": "a-token", "RUNNER_AGENT": "agent:agent"}
    with image(data, app, given) as started:
        assert say(started, "/app/x").json["response"] == "OSError Read-only file system 10001"
        assert say(started, "/data/x").json["response"] == "written 10001"
        assert started.stop() == 0
    with image(data, app, given) as again:
        assert say(again, "/tmp/x").json["turn"] == 3


def test_the_unit_serves_with_its_settings_and_writes_to_its_state_directory_alone(
    tmp_path: Path,
) -> None:
    settings = UNIT.with_name("runner.toml")
    (tmp_path / "app").mkdir()
    state = f"/var/lib/{in_unit('StateDirectory')}"
    with Sandbox(
        shlex.split(in_unit("ExecStart")),
        in_unit("WorkingDirectory").removeprefix("-"),
        {state: tmp_path},
        {"/etc/turnline/runner.toml": settings, "/opt/turnline/app": tmp_path / "app"},
        **{**FREE_PORT, "RUNNER_SERVER__TOKENS": "a-token"},
    ) as started:
        assert say(started, "hello").status == 200
        assert started.stop() == 0
    assert (tmp_path / "runner.db").is_file()

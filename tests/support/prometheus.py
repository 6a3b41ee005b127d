"""A real Prometheus that scrapes a server of the test, as docs/examples/prometheus says."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Any, Self

import httpx

from tests.support.client import LIMIT_S, PATIENCE_S, until
from tests.support.server import ROOT

EXAMPLES = ROOT / "docs" / "examples" / "prometheus"
MISSING = [name for name in ("prometheus", "promtool") if shutil.which(name) is None]
HOW_TO_HAVE_IT = "Prometheus is not tested: there is no prometheus here; apt-get install prometheus"


def promtool(*arguments: str, folder: Path = EXAMPLES) -> str:
    """What it says. Raises AssertionError where it finds a fault."""
    done = subprocess.run(
        ["promtool", *arguments], cwd=folder, capture_output=True, text=True, timeout=LIMIT_S
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


class Prometheus:
    """Scrapes the server on this port twice a second; start it with `with`.

    folder  has its configuration and its data.
    token   is for a server that needs one; without it the example is used as it is.
    """

    def __init__(self, folder: Path, port: int, token: str = "") -> None:
        self.folder = folder
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.port = int(listener.getsockname()[1])
        shutil.copytree(EXAMPLES, folder, dirs_exist_ok=True)
        config = folder / "prometheus.yml"
        shown = re.sub("interval: 15s", "interval: 500ms", config.read_text())
        if token:
            shown = re.sub(
                "^    # (?=authorization:|  credentials_file:)", "    ", shown, flags=re.M
            )
            (folder / "turnline.token").write_text(token)
        config.write_text(shown.replace("127.0.0.1:8080", f"127.0.0.1:{port}"))
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        command = ["prometheus", "--config.file=prometheus.yml", "--storage.tsdb.path=data"]
        command += [f"--web.listen-address=127.0.0.1:{self.port}"]
        with (self.folder / "log").open("wb") as log:
            self._process = subprocess.Popen(command, cwd=self.folder, stdout=log, stderr=log)
        try:
            until(self._is_ready, "Prometheus is ready", PATIENCE_S)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(LIMIT_S)

    def get(self, path: str, **parameters: str) -> Any:
        """The data of its answer. Raises AssertionError where it has an error or a warning."""
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}"
        answer = httpx.get(url, params=parameters, timeout=LIMIT_S, trust_env=False).json()
        assert answer["status"] == "success", answer
        assert not answer.get("warnings"), answer
        return answer["data"]

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The samples of a vector: each with its `metric`, which are labels, and its `value`."""
        data = self.get("query", query=expression)
        assert data["resultType"] == "vector", data
        result: list[dict[str, Any]] = data["result"]
        return result

    def target(self) -> dict[str, Any]:
        """What it knows of the one server that it scrapes."""
        (only,) = self.get("targets")["activeTargets"]
        shown: dict[str, Any] = only
        return shown

    def until_scraped(self, times: int) -> None:
        """Until it has scraped the server so often from now on."""
        for _ in range(times):
            last = self.target()["lastScrape"]
            until(lambda last=last: self.target()["lastScrape"] != last, "it scrapes")  # type: ignore[misc]

    def _is_ready(self) -> bool:
        try:
            ready = httpx.get(f"http://127.0.0.1:{self.port}/-/ready", trust_env=False)
        except httpx.TransportError:
            return False
        return ready.status_code == 200

"""nginx and Caddy with the shipped files, at a free port, before servers of the test."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, Self

import httpx

from tests.deploy.shipped import DEPLOY, found, free_port
from tests.support.client import LIMIT_S, PATIENCE_S, until

LEAVE_S = 2.0

TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")

TLS = r"    listen 443 ssl http2;\n(.*\n)    ssl_certificate .*\n    ssl_certificate_key .*\n"


class Kind(Protocol):
    def __call__(self, folder: Path, ports: Sequence[int]) -> Proxy: ...


class Proxy:
    """Start it with `with`; it passes on to these ports, and is gone afterwards."""

    def __init__(self, folder: Path, command: list[str], port: int, **environment: str) -> None:
        self.port = port
        self._log = folder / "proxy.log"
        self._command = command
        self._environment = {**os.environ, **environment}
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command, env=self._environment, stdout=log, stderr=log
            )
        try:
            until(self._passes_on, "the proxy passes requests on", PATIENCE_S)
        except BaseException:
            print(self._log.read_text())
            self.__exit__()
            raise
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._process is not None:
            self._process.terminate()  # Caddy waits for streams without end.
            try:
                self._process.wait(LEAVE_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(LIMIT_S)

    def _passes_on(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, "the proxy has ended"
        try:
            live = httpx.get(f"http://127.0.0.1:{self.port}/health/live", trust_env=False)
        except httpx.TransportError:
            return False
        return live.status_code == 200


def nginx(folder: Path, ports: Sequence[int]) -> Proxy:
    port = free_port()
    shipped = (DEPLOY / "nginx.conf").read_text()
    servers = "".join(f"    server 127.0.0.1:{one};\n" for one in ports)
    plain = re.sub(TLS, rf"    listen 127.0.0.1:{port};\n\1", shipped)
    filled = re.sub(r"    server 127\.0\.0\.1:8080;\n", servers, plain)
    assert "ssl" not in filled
    return Proxy(folder, [found("nginx"), "-c", nginx_main(folder, filled)], port)


def nginx_main(folder: Path, server: str) -> str:
    """A main file around what is for the `http` block: where it is."""
    (folder / "turnline.conf").write_text(server)
    paths = "".join(f"{name}_temp_path {folder}/{name};\n" for name in TEMPORARY)
    main = folder / "nginx.conf"
    main.write_text(
        f"user root; daemon off; pid {folder}/nginx.pid; error_log stderr;\nevents {{}}\n"
        f"http {{ access_log off; {paths} include {folder}/turnline.conf; }}\n"
    )
    return str(main)


def caddy(folder: Path, ports: Sequence[int], file: str = "Caddyfile") -> Proxy:
    port = free_port()
    # Its admin port is one for all, so without it.
    config = folder / "Caddyfile"
    config.write_text("{\n\tadmin off\n}\n" + (DEPLOY / file).read_text())
    command = [found("caddy"), "run", "--adapter", "caddyfile", "--config", str(config)]
    return Proxy(
        folder,
        command,
        port,
        HOME=str(folder),
        TURNLINE_SITE=f"http://127.0.0.1:{port}, http://localhost:{port}, http://chat.example:{port}",
        TURNLINE_RUNNERS=" ".join(f"127.0.0.1:{one}" for one in ports),
    )


def caddy_before_many(folder: Path, ports: Sequence[int]) -> Proxy:
    return caddy(folder, ports, "Caddyfile.many")

"""TLS by the server itself, over what carries HTTP."""

from __future__ import annotations

import json
import os
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from http.client import HTTPSConnection
from pathlib import Path
from typing import Any

import pytest

from tests.support.client import LIMIT_S, until
from tests.support.server import Knobs, Server

pytestmark = pytest.mark.skipif(
    shutil.which("openssl") is None and "CI" not in os.environ,
    reason="openssl is not here, which makes the certificate: apt-get install openssl",
)

MAKE = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -noenc -days 2"
NAME = ("-subj", "/CN=turnline", "-addext", "subjectAltName=IP:127.0.0.1")


def make_certificate(folder: Path) -> tuple[Path, Path]:
    cert, key = folder / "cert.pem", folder / "key.pem"
    files = ("-out", str(cert), "-keyout", str(key))
    subprocess.run([*MAKE.split(), *NAME, *files], check=True, capture_output=True)
    return cert, key


@pytest.fixture(scope="module")
def secure(http: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("tls")
    cert, key = make_certificate(folder)
    knobs: Knobs = {"server__certfile": str(cert), "server__keyfile": str(key)}
    knobs["server__header_timeout_s"] = 1
    with Server(folder, **knobs) as server:
        yield server


def connect(server: Server) -> HTTPSConnection:
    context = ssl.create_default_context(cafile=str(server.folder / "cert.pem"))
    return HTTPSConnection("127.0.0.1", server.port, timeout=LIMIT_S, context=context)


def post(client: HTTPSConnection, message: str, **headers: str) -> Any:
    named = {"content-type": "application/json", **headers}
    client.request("POST", "/chat", json.dumps({"message": message}), named)
    return client.getresponse()


def test_turns_are_answered_over_one_connection(secure: Server) -> None:
    client = connect(secure)
    for message in ("one", "two"):
        answer = post(client, message)
        assert answer.status == 200
        assert json.loads(json.loads(answer.read())["response"])["echo"] == message
    client.close()


def test_a_stream_tells_that_the_turn_has_started_before_its_end(secure: Server) -> None:
    client = connect(secure)
    answer = post(client, "until streamed", accept="text/event-stream")
    lines = iter(answer.readline, b"")
    assert b"event: started\n" in lines
    secure.let_on("streamed")
    assert b"event: done\n" in lines
    client.close()


def test_a_client_that_leaves_takes_its_turn_along(secure: Server) -> None:
    client = connect(secure)
    named = {"content-type": "application/json", "prefer": "on-disconnect=cancel"}
    client.request("POST", "/chat", json.dumps({"message": "hang up"}), named)
    until(lambda: "began hang up" in secure.calls(), "the agent is called")
    client.close()
    probe = connect(secure)

    def running() -> int:
        probe.request("GET", "/health")
        return int(json.loads(probe.getresponse().read())["running"])

    until(lambda: running() == 0, "the turn is cancelled")
    probe.close()


def test_who_does_not_finish_the_handshake_is_cut_off(secure: Server) -> None:
    with socket.create_connection(("127.0.0.1", secure.port), LIMIT_S) as silent:
        assert silent.recv(1) == b""


def test_who_speaks_plain_http_gets_no_answer_in_it_and_harms_nobody(secure: Server) -> None:
    with socket.create_connection(("127.0.0.1", secure.port), LIMIT_S) as plain:
        plain.sendall(b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n")
        heard = b""
        try:
            while piece := plain.recv(4096):
                heard += piece
        except ConnectionResetError:
            pass
    assert b"HTTP/1.1 200" not in heard
    client = connect(secure)
    assert post(client, "after").status == 200
    client.close()


def test_a_certificate_that_is_none_is_refused_at_the_start(http: str, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.pem"
    wrong.write_text("not a certificate")
    for file in (wrong, tmp_path / "missing.pem"):
        status, said = Server(tmp_path, server__certfile=str(file)).fail()
        assert status == 2
        assert "server.certfile" in said

"""The way to a collector of spans, over OTLP/HTTP: where it is, and how long it may take."""

from __future__ import annotations

import http.client
import os
import socket
import ssl
import threading
from typing import Any
from urllib.request import (
    HTTPHandler,
    HTTPRedirectHandler,
    HTTPSHandler,
    Request,
    build_opener,
)

from opentelemetry.util.re import parse_env_headers

PATIENCE_S = 10.0
"""For a collector that does not answer."""


class Collector:
    """Headers and certificates are those of OpenTelemetry's own variables.

    Raises ValueError where these cannot be used.
    """

    def __init__(self, url: str, patience_s: float = PATIENCE_S) -> None:
        self._url = url
        self._patience_s = patience_s
        told = of_traces("HEADERS")
        self._headers = {**parse_env_headers(told), "content-type": "application/x-protobuf"}
        certificates = [_Https(context=_certificates())] if url.startswith("https:") else []
        self._opener = build_opener(_Stays, _Http, *certificates)

    def send(self, body: bytes) -> None:
        """Raises HTTPError with the status of a refusal, or whatever went wrong on the way."""
        request = Request(self._url, body, self._headers)
        with self._opener.open(request, timeout=self._patience_s):
            pass


class _Stays(HTTPRedirectHandler):
    """Follows no redirect: that would be a GET without the spans, and take the headers along."""

    def redirect_request(
        self, req: Request, fp: object, code: int, msg: str, headers: object, newurl: str
    ) -> None:
        return None


class _Response(http.client.HTTPResponse):
    """Its head has to be there in time as a whole: a socket's timeout is one for each read."""

    def __init__(self, sock: socket.socket, *args: Any, **options: Any) -> None:
        super().__init__(sock, *args, **options)
        self._socket = sock
        self._is_late = False

    def begin(self) -> None:
        limit = threading.Timer(self._socket.gettimeout() or PATIENCE_S, self._cut)
        limit.daemon = True
        limit.start()
        try:
            super().begin()
        finally:
            limit.cancel()
        if self._is_late:  # A head that was cut passes for one that has ended.
            raise TimeoutError("its answer did not come in time")

    def _cut(self) -> None:
        self._is_late = True
        # Not as TLS does it: the other thread is reading.
        socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


class _Connection(http.client.HTTPConnection):
    response_class = _Response


class _SecureConnection(http.client.HTTPSConnection):
    response_class = _Response


class _Http(HTTPHandler):
    def http_open(self, req: Request) -> http.client.HTTPResponse:
        return self.do_open(_Connection, req)


class _Https(HTTPSHandler):
    def __init__(self, context: ssl.SSLContext) -> None:
        super().__init__(context=context)
        self._certificates = context

    def https_open(self, req: Request) -> http.client.HTTPResponse:
        return self.do_open(_SecureConnection, req, context=self._certificates)


def _certificates() -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=of_traces("CERTIFICATE") or None)
        if mine := of_traces("CLIENT_CERTIFICATE"):
            context.load_cert_chain(mine, of_traces("CLIENT_KEY") or None)
    except OSError as error:
        variables = "OTEL_EXPORTER_OTLP_CERTIFICATE, ..._CLIENT_CERTIFICATE and ..._CLIENT_KEY"
        raise ValueError(f"{variables} must name files in PEM: {error}") from error
    return context


def of_traces(name: str) -> str:
    return told(f"OTEL_EXPORTER_OTLP_TRACES_{name}") or told(f"OTEL_EXPORTER_OTLP_{name}")


def told(variable: str) -> str:
    return os.environ.get(variable, "").strip()

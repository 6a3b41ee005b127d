"""A real OTLP receiver in the test process: takes spans over HTTP, as a collector does."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from tests.support.client import PATIENCE_S

ERROR = 2
"""A span's status code."""

SERVER = 2
"""A span's kind."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A span that was received. Ids in hex, instants in nanoseconds since 1970."""

    name: str
    trace_id: str
    span_id: str
    parent_id: str
    kind: int
    began: int
    ended: int
    status: int
    attributes: dict[str, Any]
    links: list[str]
    resource: dict[str, Any]


class Receiver:
    """Use it with `with`; `url` is for `observability.otel`."""

    def __init__(self) -> None:
        self.spans: list[Seen] = []
        self.raw: list[bytes] = []
        self.asked: list[str] = []
        self._news = threading.Condition()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._server.shutdown()
        self._thread.join(PATIENCE_S)
        self._server.server_close()

    def until(self, enough: Callable[[list[Seen]], bool]) -> list[Seen]:
        """All spans, once there are enough of them."""
        with self._news:
            found = self._news.wait_for(lambda: enough(self.spans), PATIENCE_S)
        assert found, self.spans
        return [*self.spans]

    def named(self, name: str, trace_id: str = "", number: int = 1) -> list[Seen]:
        """The spans of this name, in this trace or in any, once there are so many."""

        def wanted(spans: list[Seen]) -> list[Seen]:
            return [one for one in spans if one.name == name and trace_id in one.trace_id]

        return wanted(self.until(lambda spans: len(wanted(spans)) >= number))

    def one(self, name: str, trace_id: str = "") -> Seen:
        (found,) = self.named(name, trace_id)
        return found

    def _take(self, body: bytes) -> None:
        with self._news:
            self.raw.append(body)
            self.spans += _spans(ExportTraceServiceRequest.FromString(body))
            self._news.notify_all()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        take, asked = self._take, self.asked

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked.append(self.path)
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                known = self.path == "/v1/traces"
                if known:
                    take(body)
                answer = ExportTraceServiceResponse().SerializeToString()
                self.send_response(200 if known else 404)
                self.send_header("content-type", "application/x-protobuf")
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, format: str, *args: object) -> None:
                pass

        return Handler


def _spans(request: ExportTraceServiceRequest) -> list[Seen]:
    return [
        Seen(
            span.name,
            span.trace_id.hex(),
            span.span_id.hex(),
            span.parent_span_id.hex(),
            span.kind,
            span.start_time_unix_nano,
            span.end_time_unix_nano,
            span.status.code,
            _values(span.attributes),
            [link.span_id.hex() for link in span.links],
            _values(of_resource.resource.attributes),
        )
        for of_resource in request.resource_spans
        for of_scope in of_resource.scope_spans
        for span in of_scope.spans
    ]


def _values(attributes: Any) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in attributes}

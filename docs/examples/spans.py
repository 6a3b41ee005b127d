"""A receiver of spans, to see what Turnline sends: prints each, below the one that it is in."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span


def spans(body: bytes) -> list[Span]:
    request = ExportTraceServiceRequest.FromString(body)
    return [
        span
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def lines(among: list[Span], parent: bytes, indent: str = "") -> Iterator[str]:
    for span in among:
        if span.parent_span_id == parent:
            ms = (span.end_time_unix_nano - span.start_time_unix_nano) / 1e6
            yield f"{indent}{span.name} {ms:.1f} ms  {', '.join(map(attribute, span.attributes))}"
            yield from lines(among, span.span_id, indent + "  ")


def attribute(one: KeyValue) -> str:
    kind = one.value.WhichOneof("value")
    return f"{one.key}={getattr(one.value, kind) if kind else ''}"


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        found = spans(self.rfile.read(int(self.headers["content-length"])))
        self.send_response(200)
        self.end_headers()
        # Those whose parent is elsewhere, such as in the caller's program, come first.
        here = {span.span_id for span in found}
        for parent in dict.fromkeys(span.parent_span_id for span in found):
            if parent not in here:
                print("\n".join(lines(found, parent)), flush=True)

    def log_message(self, format: str, *args: object) -> None:
        pass


if __name__ == "__main__":
    port = int(sys.argv[1]) if sys.argv[1:] else 4318
    ThreadingHTTPServer(("127.0.0.1", port), Receiver).serve_forever()

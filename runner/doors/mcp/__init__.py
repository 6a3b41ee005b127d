"""MCP clients, streamable HTTP: the agent as a tool `ask`, in both eras of the protocol."""

from __future__ import annotations

from runner.api import operations
from runner.api.openapi import Route
from runner.doors.door import Door
from runner.doors.mcp.endpoint import Endpoint
from runner.doors.mcp.protocol import refuse
from runner.settings import Settings


def routes(settings: Settings) -> tuple[Route, ...]:
    endpoint = Endpoint()
    post = operations.door("A message of an MCP client", stream=True, body=True)
    resume = operations.door("Take up a stream that was cut, by Last-Event-ID", stream=True)
    end = operations.door("End an MCP session")
    return (
        Route("POST", "/mcp", endpoint.mcp, post, any_query=True, refuse=refuse),
        Route("GET", "/mcp", endpoint.mcp_stream, resume, any_query=True, refuse=refuse),
        Route("DELETE", "/mcp", endpoint.mcp_end, end, any_query=True, refuse=refuse),
    )


DOOR = Door("mcp", "MCP clients: streamable HTTP at http://HOST/mcp", routes)

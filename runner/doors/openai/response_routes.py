"""Where the responses and the conversations are."""

from __future__ import annotations

from runner.api.openapi import Handler, Route
from runner.api.operations import door
from runner.doors.openai import conversations, responses
from runner.doors.openai.errors import refuse

ONE = "/v1/responses/{response_id}"
NAMED = "/v1/conversations/{name}"


def _route(method: str, path: str, handler: Handler, summary: str, *query: str) -> Route:
    stream, body = handler is responses.create_response or "stream" in query, method == "POST"
    about = door(summary, stream=stream, body=body and not path.endswith("/cancel"))
    return Route(method, path, handler, about, query=query, any_query=True, refuse=refuse)


ROUTES = (
    _route("POST", "/v1/responses", responses.create_response, "OpenAI: create a response"),
    _route("GET", ONE, responses.retrieve_response, "OpenAI: a response, or its events",
           "stream", "starting_after"),
    _route("POST", f"{ONE}/cancel", responses.cancel_response, "OpenAI: cancel a response"),
    _route("GET", f"{ONE}/input_items", responses.list_input_items,
           "OpenAI: what a response answers", "after", "limit", "order"),
    _route("DELETE", ONE, responses.delete_response, "OpenAI: delete a response that is alone"),
    _route("POST", "/v1/conversations", conversations.create_conversation,
           "OpenAI: create a conversation"),
    _route("GET", NAMED, conversations.retrieve_conversation, "OpenAI: a conversation"),
    _route("POST", NAMED, conversations.update_conversation,
           "OpenAI: change a conversation, of which nothing is kept that could be"),
    _route("DELETE", NAMED, conversations.delete_conversation, "OpenAI: forget a conversation"),
    _route("GET", f"{NAMED}/items", conversations.list_items,
           "OpenAI: the messages of a conversation", "after", "limit", "order"),
)  # fmt: skip

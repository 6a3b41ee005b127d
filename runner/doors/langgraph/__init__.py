"""The LangGraph SDK, under `/langgraph`: assistants, threads and runs."""

from __future__ import annotations

from runner.api.openapi import Handler, Route
from runner.api.operations import door
from runner.doors.door import Door
from runner.doors.langgraph import assistants, runs, threads
from runner.doors.langgraph.absent import absent
from runner.settings import Settings

THREAD = "/threads/{thread_id}"
RUNS = f"{THREAD}/runs"
RUN = f"{RUNS}/{{run_id}}"


def _route(
    method: str, path: str, handler: Handler, summary: str, *query: str, stream: bool = False
) -> Route:
    has_body = method == "POST" and not query
    return Route(
        method,
        f"/langgraph{path}",
        handler,
        door(summary, stream=stream, body=has_body),
        query=query,
        any_query=True,
        token=b"x-api-key",
    )


ROUTES = (
    _route("GET", "/ok", assistants.langgraph_ok, "Whether the server answers"),
    _route("GET", "/info", assistants.langgraph_info, "What its clients ask before they begin"),
    _route("POST", "/assistants/search", assistants.assistant_search, "List the one assistant"),
    _route("POST", "/assistants/count", assistants.assistant_count, "Count the one assistant"),
    _route("GET", "/assistants/{assistant_id}", assistants.assistant_get, "The one assistant"),
    _route("POST", "/threads", threads.thread_create, "A new thread"),
    _route("POST", "/threads/search", threads.thread_search, "List your threads"),
    _route("POST", "/threads/count", threads.thread_count, "Count your threads"),
    _route("GET", THREAD, threads.thread_get, "A thread"),
    _route("DELETE", THREAD, threads.thread_delete, "Forget a thread that is idle"),
    _route("GET", f"{THREAD}/state", threads.thread_state, "A thread's state"),
    _route("POST", f"{THREAD}/state/checkpoint", threads.thread_state_of,
           "The same of a checkpoint that is in the body"),
    _route("GET", f"{THREAD}/state/{{checkpoint_id}}", threads.thread_state_at,
           "A thread's state after an earlier turn"),
    _route("POST", f"{THREAD}/history", threads.thread_history, "A thread's last states"),
    _route("POST", RUNS, runs.run_create, "Start a run in the background"),
    _route("GET", RUNS, runs.run_list, "A thread's runs that have not ended",
           "limit", "offset", "status"),
    _route("POST", f"{RUNS}/wait", runs.run_wait, "Run, and wait for the thread's state"),
    _route("POST", f"{RUNS}/stream", runs.run_stream, "Run, and stream it", stream=True),
    _route("POST", "/runs", runs.stateless_create, "Start a run in a new thread"),
    _route("POST", "/runs/wait", runs.stateless_wait, "The same, and wait for its state"),
    _route("POST", "/runs/stream", runs.stateless_stream, "The same, and stream it", stream=True),
    *(_route(*one) for one in absent()),  # Here, as `crons` could be taken for the id of a run.
    _route("GET", RUN, runs.run_get, "A run"),
    _route("GET", f"{RUN}/join", runs.run_join, "Wait for a run"),
    _route("GET", f"{RUN}/stream", runs.run_join_stream, "A run's events",
           "stream_mode", "cancel_on_disconnect", stream=True),
    _route("POST", f"{RUN}/cancel", runs.run_cancel, "Cancel a run", "wait", "action"),
)  # fmt: skip


def routes(settings: Settings) -> tuple[Route, ...]:
    return ROUTES


DOOR = Door("langgraph", 'the LangGraph SDK: get_client(url="http://HOST/langgraph")', routes)

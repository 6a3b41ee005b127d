"""What the SDK can ask for and this server has not: refused, with what to do instead.

Each has a route of its own, since "there is nothing here" says too little, and since a caller
whose key is in `x-api-key` would be told that it has none.
"""

from __future__ import annotations

import re

from runner.api.exchange import Answer, Request
from runner.api.openapi import Handler
from runner.api.problems import NOT_FOUND, RequestError
from runner.turns.service import Service

STORE = "There is no store here: what is to be remembered is in the agent's own state."
CRONS = "There are no crons here: start a run when it is time for it."
MADE = "There is one assistant here, the agent that is served; it is not made or changed by calls."
GRAPH = "The agent is no graph here; runs show its messages, its tools and what it asks."
VERSIONS = "The agent has one version: the one that is served."
SAID = "What was said in a thread cannot be written; it is said, by runs."
KEPT = "Nothing is kept of a thread but what is said in it."
COPIED = "A thread cannot be copied; create one, and say what it is to know."
DELETED = "Threads are deleted one by one: threads.delete."
ONE_STREAM = "A thread has no stream of its own: use runs.stream, or runs.join_stream of each run."
EACH_RUN = "Runs are created and cancelled one by one: runs.create, runs.cancel."
FORGOTTEN = "A run is cancelled with runs.cancel, and forgotten with its thread: threads.delete."

ABSENT: dict[str, tuple[str, ...]] = {
    STORE: (
        "GET /store/items", "PUT /store/items", "DELETE /store/items", "POST /store/items/search",
        "POST /store/namespaces",
    ),
    CRONS: (
        "POST /threads/{thread_id}/runs/crons", "POST /runs/crons", "POST /runs/crons/search",
        "POST /runs/crons/count", "PATCH /runs/crons/{cron_id}", "DELETE /runs/crons/{cron_id}",
    ),
    MADE: (
        "POST /assistants", "PATCH /assistants/{assistant_id}", "DELETE /assistants/{assistant_id}",
    ),
    GRAPH: (
        "GET /assistants/{assistant_id}/graph", "GET /assistants/{assistant_id}/schemas",
        "GET /assistants/{assistant_id}/subgraphs",
    ),
    VERSIONS: (
        "POST /assistants/{assistant_id}/versions", "POST /assistants/{assistant_id}/latest",
    ),
    SAID: ("POST /threads/{thread_id}/state", "PATCH /threads/{thread_id}/state"),
    KEPT: ("PATCH /threads/{thread_id}",),
    COPIED: ("POST /threads/{thread_id}/copy",),
    DELETED: ("POST /threads/prune",),
    ONE_STREAM: (
        "GET /threads/{thread_id}/stream", "POST /threads/{thread_id}/stream/events",
        "POST /threads/{thread_id}/commands",
    ),
    EACH_RUN: ("POST /runs/batch", "POST /runs/cancel"),
    FORGOTTEN: ("DELETE /threads/{thread_id}/runs/{run_id}",),
}  # fmt: skip
"""The words of a refusal, and the calls that get it."""


def absent() -> list[tuple[str, str, Handler, str]]:
    """Method, path, handler and words of each."""
    listed = ((*call.split(" "), words) for words, calls in ABSENT.items() for call in calls)
    return [(method, path, _refusing(method, path, words), words) for method, path, words in listed]


def _refusing(method: str, path: str, words: str) -> Handler:
    async def refuse(service: Service, request: Request) -> Answer:
        raise RequestError(NOT_FOUND, words)

    refuse.__name__ = "_".join(("no", method.lower(), *re.findall(r"\w+", path)))
    return refuse

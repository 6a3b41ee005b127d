"""What the LangGraph SDK can ask for, and this server has not: refused in words, to any caller."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from tests.doors.langgraph import connect, errors, say, sdk
from tests.support.server import Server

ITEM = (["memories"], "name")
CRON = {"schedule": "0 8 * * *", "input": say("hello")}

CALLS: dict[str, tuple[tuple[Any, ...], dict[str, Any], str]] = {
    "threads.update": (("t",), {"metadata": {"user": "ann"}}, "Nothing is kept of a thread"),
    "threads.copy": (("t",), {}, "cannot be copied"),
    "threads.prune": ((["t"],), {}, "threads.delete"),
    "threads.update_state": (("t", {"messages": []}), {}, "it is said, by runs"),
    "threads.create": ((), {"ttl": 60}, "kept until it is deleted"),
    "runs.create_batch": (([{"assistant_id": "agent", "input": say("a")}],), {}, "one by one"),
    "runs.cancel_many": ((), {"thread_id": "t", "run_ids": ["r"]}, "one by one"),
    "runs.delete": (("t", "r"), {}, "forgotten with its thread"),
    "assistants.create": (("agent",), {}, "one assistant"),
    "assistants.update": (("agent",), {"name": "another"}, "one assistant"),
    "assistants.delete": (("agent",), {}, "one assistant"),
    "assistants.get_graph": (("agent",), {}, "no graph"),
    "assistants.get_schemas": (("agent",), {}, "no graph"),
    "assistants.get_subgraphs": (("agent",), {}, "no graph"),
    "assistants.get_versions": (("agent",), {}, "one version"),
    "assistants.set_latest": (("agent", 1), {}, "one version"),
    "store.put_item": ((*ITEM, {"is": "Ada"}), {}, "no store"),
    "store.get_item": (ITEM[:1], {"key": "name"}, "no store"),
    "store.delete_item": (ITEM, {}, "no store"),
    "store.search_items": (ITEM[:1], {}, "no store"),
    "store.list_namespaces": ((), {}, "no store"),
    "crons.create": (("agent",), CRON, "no crons"),
    "crons.create_for_thread": (("t", "agent"), CRON, "no crons"),
    "crons.update": (("c",), {"schedule": "0 9 * * *"}, "no crons"),
    "crons.delete": (("c",), {}, "no crons"),
    "crons.search": ((), {}, "no crons"),
    "crons.count": ((), {}, "no crons"),
}
"""A method of the client, what it is called with, and words of the refusal."""

SERVED = {
    "assistants": {"get", "search", "count"},
    "threads": {
        "create", "get", "search", "count", "delete", "get_state", "get_history",
        "stream", "join_stream",  # Of the protocol with one stream for a thread.
    },
    "runs": {"create", "wait", "stream", "join", "join_stream", "get", "list", "cancel"},
    "store": set[str](),
    "crons": set[str](),
}  # fmt: skip


@pytest.fixture(scope="module")
def server(http: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """With tokens: its words are for callers whose key is not where ours is."""
    with Server(tmp_path_factory.mktemp("absent"), server__tokens=["ann:a-token"]) as running:
        yield running


@pytest.fixture
async def client(server: Server) -> AsyncIterator[Any]:
    async with connect(server, "a-token") as one:
        yield one


@pytest.mark.parametrize("call", CALLS)
async def test_what_is_not_here_is_refused_in_words(client: Any, call: str) -> None:
    part, _, method = call.partition(".")
    arguments, named, words = CALLS[call]
    with pytest.raises(errors.APIStatusError, match=words) as caught:
        await getattr(getattr(client, part), method)(*arguments, **named)
    assert caught.value.status_code in (404, 422)


def test_each_method_of_the_client_is_served_or_refused_here() -> None:
    client = sdk.get_client(url="http://localhost")
    for part, served in SERVED.items():
        of_part = getattr(client, part)
        methods = {
            name for name in dir(of_part) if name[0] != "_" and callable(getattr(of_part, name))
        }
        refused = {name.partition(".")[2] for name in CALLS if name.startswith(f"{part}.")}
        assert methods == served | refused, part


async def test_one_stream_for_a_whole_thread_is_refused_in_words(client: Any) -> None:
    with pytest.raises(errors.NotFoundError, match=r"runs\.join_stream"):
        async for _ in await client.threads.join_stream("t"):
            pass


def test_a_stranger_is_not_told_what_there_is(server: Server) -> None:
    assert server.request("GET", "/langgraph/store/items").status == 401

"""A graph's newest checkpoint as JSON, and back into a checkpointer.

Checkpoints go through the checkpointer's own serializer, and are compressed, since they name
the class of each message. Older ones are not kept: a turn goes on from the newest alone.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import AsyncIterator
from secrets import token_hex
from typing import Any
from zlib import compress, decompress

from runner.agents.base import Json
from runner.agents.frameworks.framework import InThread, load

ROOT = ""
"""The graph's own namespace. Each subgraph has its own, with a colon if it is for one call."""


def config_of(thread_id: str, namespace: str = ROOT, checkpoint_id: str | None = None) -> Any:
    named = {"checkpoint_id": checkpoint_id} if checkpoint_id else {}
    return {"configurable": {"thread_id": thread_id, "checkpoint_ns": namespace, **named}}


async def restore(saver: Any, conversation: str, state: Json) -> tuple[Any, set[str]]:
    """Where a turn forks from, and the namespaces into which checkpoints were put for it."""
    if state and "checkpoint_id" in state:
        return config_of(state["thread_id"], ROOT, state["checkpoint_id"]), {ROOT}
    thread_id = f"{conversation}:{token_hex(8)}"
    kept: list[Any] = _loads(saver, *state["checkpoints"]) if state else []
    for namespace, checkpoint, metadata, writes in kept:
        versions = checkpoint["channel_versions"]
        await saver.aput(config_of(thread_id, namespace), checkpoint, metadata, versions)
        by_step: dict[str, list[tuple[str, Any]]] = {}
        for step, channel, value in writes:
            by_step.setdefault(step, []).append((channel, value))
        at = config_of(thread_id, namespace, checkpoint["id"])
        for step, written in by_step.items():
            await saver.aput_writes(at, written, step)
    return config_of(thread_id), {ROOT, *(namespace for namespace, *_ in kept)}


async def dump(
    saver: Any, thread_id: str, namespaces: set[str], is_interrupted: bool, values: Any
) -> Json:
    """The newest checkpoint of the graph, and of those subgraphs that can go on.

    values  of the graph's channels that a checkpoint has only as changes since older ones.
    """
    kept: list[Any] = []
    for namespace in sorted(namespaces):
        if is_interrupted or ":" not in namespace:
            saved = await saver.aget_tuple(config_of(thread_id, namespace))
            if saved:
                if namespace == ROOT:
                    saved.checkpoint["channel_values"].update(values)
                kept.append((namespace, saved.checkpoint, saved.metadata, saved.pending_writes))
    kind, data = saver.serde.dumps_typed(kept)
    return {"checkpoints": [kind, b64encode(compress(data)).decode()]}


def _loads(saver: Any, kind: str, data: str) -> Any:
    return saver.serde.loads_typed((kind, decompress(b64decode(data))))


async def works_async(saver: Any) -> bool:
    """SqliteSaver and PostgresSaver do not, and those that do are made in a running loop."""
    try:
        await saver.aget_tuple(config_of("none"))
    except NotImplementedError:
        return False
    return True


def in_threads(saver: Any, in_thread: InThread) -> Any:
    """The checkpointer with its asynchronous methods made of its others."""
    base: Any = load("langgraph.checkpoint.base").BaseCheckpointSaver

    class InThreads(base):  # type: ignore[misc]  # Of a framework that need not be there.
        def get_next_version(self, current: Any, channel: None) -> Any:
            return saver.get_next_version(current, channel)

        async def aget_tuple(self, config: Any) -> Any:
            return await in_thread(lambda: saver.get_tuple(config))

        async def alist(self, config: Any, **options: Any) -> AsyncIterator[Any]:
            for saved in await in_thread(lambda: list(saver.list(config, **options))):
                yield saved

        async def aput(self, config: Any, checkpoint: Any, metadata: Any, versions: Any) -> Any:
            return await in_thread(lambda: saver.put(config, checkpoint, metadata, versions))

        async def aput_writes(
            self, config: Any, writes: Any, task_id: str, task_path: str = ""
        ) -> None:
            await in_thread(lambda: saver.put_writes(config, writes, task_id, task_path))

    return InThreads(serde=saver.serde)

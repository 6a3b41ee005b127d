"""Tasks of the server's own: none ends with an exception unseen."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from functools import partial
from typing import Any, TypeVar

import structlog

T = TypeVar("T")

log = structlog.get_logger(__name__)


def spawn(work: Coroutine[Any, Any, T], about: str) -> asyncio.Task[T]:
    """Do this in a task, which the caller must hold; where it fails, the log says so."""
    task = asyncio.get_running_loop().create_task(work)
    task.add_done_callback(partial(_look_at, about))
    return task


def _look_at(about: str, task: asyncio.Task[Any]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("the server failed in part", part=about, exc_info=error)

"""What is logged, and how: one line for each ended turn, everything else through the same door.

Two rules. A log line never raises and never holds the server up: a closed or
stuck stderr loses lines, not turns. And nothing in a line, whatever an agent or
a client put there, can pass for another line or for a terminal's command.
"""

from __future__ import annotations

import json
import logging
import os
import select
import sys
import threading
import traceback

import structlog
from structlog.typing import EventDict, Processor

from runner.settings import ObservabilitySettings
from strategies import State, Ticket, Turn, TurnError

TURN_ENDED = "turn ended"

LONGEST = 16_384
"""Characters of one field; the rest is cut, so that no agent fills the disk in a line."""

PATIENCE_MS = 50
"""A reader that is slow is waited for so long, once; one that is stuck is not waited for again."""

log: structlog.typing.FilteringBoundLogger = structlog.get_logger("runner")


def log_turn(
    turn: Turn,
    *,
    strategy: str,
    ticket: Ticket | None,
    error: TurnError | None,
    log_messages: bool,
    attempts: int = 1,
) -> None:
    """Log the end of a turn; `ticket` is None where it was refused at once."""
    state = error.state if error else ticket.state if ticket else State.ANSWERED
    fields: dict[str, object] = {
        "turn_id": turn.id,
        "conversation_id": turn.conversation,
        "strategy": strategy,
        "waited_ms": round(ticket.waited_s * 1000) if ticket else 0,
        "ran_ms": round(ticket.ran_s * 1000) if ticket else 0,
        "outcome": state.value,
    }
    if attempts > 1:
        fields["attempt"] = attempts
    if error is not None:
        fields["error"] = type(error).__name__
        if error.__cause__ is not None:
            fields["cause"] = in_a_line(error.__cause__)
    if log_messages:
        fields["message"] = turn.message
    if state is State.FAILED:
        log.error(TURN_ENDED, **fields, exc_info=error.__cause__ if error else None)
    elif state in (State.REFUSED, State.EXPIRED):
        log.warning(TURN_ENDED, **fields)
    else:
        log.info(TURN_ENDED, **fields)


def configure_logging(settings: ObservabilitySettings) -> None:
    """Send all logging of this process, the standard library's too, to stderr in one format."""
    stream = _Stream(None if sys.stderr is None else 2)  # pyright: ignore[reportUnnecessaryComparison]
    as_json = settings.log == "json"
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(
            fmt="iso" if as_json else "%H:%M:%S", utc=as_json, key="timestamp"
        ),
    ]
    last: list[Processor] = [_format_exc_info, _cut]
    last += [_json_renderer()] if as_json else [_escape, _console_renderer()]
    structlog.configure(
        processors=[*shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(file=stream),  # type: ignore[arg-type]
    )
    _route_standard_library(stream, shared, last)


def _route_standard_library(
    stream: _Stream, shared: list[Processor], last: list[Processor]
) -> None:
    """Hypercorn, asyncio, warnings, and whatever an agent's libraries log."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.INFO)
    logging.captureWarnings(True)


def _json_renderer() -> Processor:
    return structlog.processors.JSONRenderer(serializer=json.dumps)


def _console_renderer() -> Processor:
    return structlog.dev.ConsoleRenderer(
        colors=os.isatty(2) and not os.environ.get("NO_COLOR"),
        exception_formatter=structlog.dev.plain_traceback,
        sort_keys=False,
        pad_event_to=0,
    )


def in_a_line(error: BaseException) -> str:
    """The error in words. Its `str` and `repr` are the agent's code, and may raise anything."""
    try:
        text = traceback.format_exception_only(error)[-1].strip()
    except BaseException as fault:
        return f"{type(error).__name__}, which cannot be shown: {type(fault).__name__}"
    return _shortened(text)


def _format_exc_info(logger: object, method: str, event: EventDict) -> EventDict:
    """As structlog's, for exceptions that cannot be shown too."""
    try:
        return structlog.processors.format_exc_info(logger, method, event)
    except BaseException as fault:
        event.pop("exc_info", None)
        event["exception"] = f"The traceback cannot be shown: {type(fault).__name__}"
        return event


def _cut(logger: object, method: str, event: EventDict) -> EventDict:
    for key, value in event.items():
        if isinstance(value, str):
            event[key] = _shortened(value)
    return event


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} ... and {len(text) - LONGEST} more"


def _escape(logger: object, method: str, event: EventDict) -> EventDict:
    """Escape what cannot be printed, but for the line breaks of a traceback."""
    for key, value in event.items():
        if key in ("exception", "stack"):
            event[key] = "\n".join(_printable(line) for line in str(value).splitlines())
        elif isinstance(value, str):
            event[key] = _printable(value)
    return event


def _printable(text: str) -> str:
    return text if text.isprintable() else repr(text)[1:-1]


class _Stream:
    """Writes to a file descriptor, and gives up instead of raising or waiting for long.

    Agents in threads log too, hence the lock; and a pipe that polls as writable
    takes PIPE_BUF bytes without blocking, hence the pieces.
    """

    def __init__(self, descriptor: int | None) -> None:
        self._descriptor = descriptor
        self._lock = threading.Lock()
        self._lost = 0
        self._poll = select.poll()
        if descriptor is not None:
            self._poll.register(descriptor, select.POLLOUT)

    def write(self, text: str) -> int:
        with self._lock:
            if self._lost and self._send(f"{self._lost} log lines were lost\n"):
                self._lost = 0
            if self._lost or not self._send(text):
                self._lost += 1
        return len(text)

    def flush(self) -> None:
        """Nothing is kept back."""

    def _send(self, text: str) -> bool:
        if self._descriptor is None:
            return False
        data = memoryview(text.encode("utf-8", "backslashreplace"))
        try:
            while data:
                if not self._poll.poll(0 if self._lost else PATIENCE_MS):
                    return False
                data = data[os.write(self._descriptor, data[: select.PIPE_BUF]) :]
        except OSError:
            return False
        return True

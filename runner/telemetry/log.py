"""What is logged, and how: one line for each ended turn, and everything else in the same form.

A closed or stuck stderr loses lines, not turns. Nothing in a line, whoever put it there, can
pass for another line or for a terminal's command.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
import traceback
from contextlib import suppress
from functools import lru_cache
from json.encoder import encode_basestring_ascii as quoted

import structlog
from structlog.contextvars import get_contextvars, merge_contextvars
from structlog.stdlib import ProcessorFormatter, add_logger_name
from structlog.typing import EventDict, Processor

from runner.agents.base import CURRENT
from runner.log_stream import LogStream
from runner.settings import ObservabilitySettings
from runner.store.base import StoreUnavailable
from runner.turns.origin import UNKNOWN, Origin
from strategies import Outcome, State, Ticket, Turn, TurnError

TURN_ENDED = "turn ended"

LONGEST = 16_384
"""Characters of one field; the rest is cut, so that no agent fills the disk in a line."""

QUOTED = frozenset(" \t=\r\n\"'")
"""A text with one of these is put into quotes on the console."""

RED, GREEN, YELLOW = 31, 32, 33
COLORS = {"debug": GREEN, "info": GREEN, "warning": YELLOW}

log: structlog.typing.FilteringBoundLogger = structlog.get_logger("runner")


def log_turn(
    turn: Turn,
    *,
    strategy: str,
    ticket: Ticket | None,
    error: TurnError | None,
    log_messages: bool,
    attempts: int = 1,
    left_behind: Outcome | None = None,
    origin: Origin = UNKNOWN,
    trace_id: str = "",
    status: int | None = None,
) -> None:
    """Log the end of a turn; `ticket` is None where it was refused at once.

    left_behind  of a turn without a reply, what its client is told as its `Turn-Outcome`.
    status       the HTTP status for its outcome.

    What fails here loses the line, not the turn.
    """
    try:
        fields = _fields(turn, strategy, ticket, error, attempts, left_behind)
        fields |= _of_request(origin, trace_id, status)
        if log_messages:
            fields["message"] = _cut(turn.message)
        _log_turn(fields, error)
    except Exception as fault:
        with suppress(Exception):
            log.error("the line of a turn is lost", turn_id=turn.id, fault=type(fault).__name__)


def _fields(
    turn: Turn,
    strategy: str,
    ticket: Ticket | None,
    error: TurnError | None,
    attempts: int,
    left_behind: Outcome | None,
) -> dict[str, object]:
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
        fields["turn_outcome"] = left_behind or error.outcome
        if error.__cause__ is not None:  # Its truth is the agent's code.
            fields["cause"] = in_a_line(error.__cause__)
    return fields


def _of_request(origin: Origin, trace_id: str, status: int | None) -> dict[str, object]:
    """What is known of it."""
    known: dict[str, object] = {} if status is None else {"status": status}
    if origin.client:
        known["client"] = origin.client
    if origin.request_id:
        known["request_id"] = origin.request_id
    if trace_id:
        known["trace_id"] = trace_id
    return known


def _log_turn(fields: dict[str, object], error: TurnError | None) -> None:
    state = fields["outcome"]
    level = "warning" if state in (State.REFUSED, State.EXPIRED) else "info"
    if error is not None and state == State.FAILED:
        # Frames of ours say nothing of a disk that the cause does not say.
        frames = None if isinstance(error, StoreUnavailable) else error.__cause__
        log.error(TURN_ENDED, **fields, exc_info=frames)
    elif _lines is None or get_contextvars():
        getattr(log, level)(TURN_ENDED, **fields)
    else:
        _lines.write(level, TURN_ENDED, fields)


class Lines:
    """How an entry looks on stderr. A turn's comes here past structlog, which costs far more."""

    def __init__(self, stream: LogStream, *, as_json: bool, colors: bool) -> None:
        self._as_json = as_json
        self._colors = colors
        self._stream = stream

    def write(self, level: str, event: str, fields: EventDict) -> None:
        self._stream.write(self._line(level, event, fields) + "\n")

    def render(self, logger: object, method: str, entry: EventDict) -> str:
        """As structlog's last processor."""
        entry = {_printable(k): _cut(v) if isinstance(v, str) else v for k, v in entry.items()}
        level, event = entry.pop("level", ""), str(entry.pop("event", ""))
        if self._as_json:
            return self._line(level, event, entry)
        traces = [str(entry.pop(key)) for key in ("stack", "exception") if key in entry]
        below = [_printable(line) for trace in traces for line in trace.splitlines()]
        return "\n".join([self._line(level, _printable(event), entry), *below])

    def _line(self, level: str, event: str, fields: EventDict) -> str:
        second, nanos = divmod(time.time_ns(), 1_000_000_000)
        if self._as_json:
            stamp = f"{_in_words(second, True)}.{nanos // 1000:06}Z"
            pairs = [
                f", {quoted(key)}: {quoted(value) if isinstance(value, str) else _as_json(value)}"
                for key, value in fields.items()
            ]
            head = f'{{"timestamp": "{stamp}", "level": {quoted(level)}, "event": {quoted(event)}'
            return f"{head}{''.join(pairs)}}}"
        words = "".join([f" {key}={_shown(fields[key])}" for key in fields])
        shown = f"[{level:<9}]"
        if self._colors:
            shown = f"\x1b[{COLORS.get(level, RED)}m{shown}\x1b[0m"
        return f"{_in_words(second, False)} {shown} {event}{words}"


@lru_cache(maxsize=1)
def _in_words(second: int, utc: bool) -> str:
    if utc:
        return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
    return time.strftime("%H:%M:%S", time.localtime(second))


def _as_json(value: object) -> str:
    return str(value) if type(value) is int else json.dumps(value, default=repr)


def _shown(value: object) -> str:
    if not isinstance(value, str):
        return _printable(repr(value))
    text = _printable(value)
    return text if QUOTED.isdisjoint(text) else repr(text)


def _printable(text: str) -> str:
    return text if text.isprintable() else repr(text)[1:-1]


def _cut(text: str) -> str:
    if len(text) <= LONGEST + 30:  # Room for the words: what was cut is not cut again.
        return text
    return f"{text[:LONGEST]} ... and {len(text) - LONGEST} more"


def in_a_line(error: BaseException) -> str:
    """The error in words. Its `str` and `repr` are the agent's code, and may raise anything."""
    try:
        text = traceback.format_exception_only(error)[-1].strip()
    except BaseException as fault:
        return f"{type(error).__name__}, which cannot be shown: {type(fault).__name__}"
    return _cut(text)


def _add_turn(logger: object, method: str, entry: EventDict) -> EventDict:
    """To what an agent logs, in its threads and tasks too: which turn it works at."""
    turn = CURRENT.get(None)
    if turn is not None:
        entry.setdefault("turn_id", turn.id)
        if turn.request_id:
            entry.setdefault("request_id", turn.request_id)
        if turn.trace_id:
            entry.setdefault("trace_id", turn.trace_id)
    return entry


def _format_exc_info(logger: object, method: str, entry: EventDict) -> EventDict:
    """As structlog's, for exceptions that cannot be shown too."""
    try:
        return structlog.processors.format_exc_info(logger, method, entry)
    except BaseException as fault:
        entry.pop("exc_info", None)
        entry["exception"] = f"The traceback cannot be shown: {type(fault).__name__}"
        return entry


_lines: Lines | None = None
"""None where this process has logging of its own."""


def configure_logging(settings: ObservabilitySettings) -> None:
    """Send all logging of this process, the standard library's too, to stderr in one format."""
    global _lines
    stream = LogStream(None if sys.stderr is None else 2)  # pyright: ignore[reportUnnecessaryComparison]
    colors = settings.log == "console" and os.isatty(2) and not os.environ.get("NO_COLOR")
    _lines = Lines(stream, as_json=settings.log == "json", colors=colors)
    first: list[Processor] = [merge_contextvars, _add_turn, structlog.processors.add_log_level]
    last: list[Processor] = [_format_exc_info, _lines.render]
    structlog.configure(
        processors=[*first, *last],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(file=stream),  # type: ignore[arg-type]
    )
    # Hypercorn, asyncio, warnings, and whatever an agent's libraries log.
    handler = logging.StreamHandler(stream)
    handler.formatter = ProcessorFormatter(
        foreign_pre_chain=[*first, add_logger_name],
        processors=[ProcessorFormatter.remove_processors_meta, *last],
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.INFO)
    logging.captureWarnings(True)

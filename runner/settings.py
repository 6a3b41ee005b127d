"""Every knob and its default. Where values come from is the business of `runner.config.sources`."""

from __future__ import annotations

import ipaddress
import re
from base64 import b64decode
from collections.abc import Iterator
from contextlib import suppress
from typing import Annotated, Any, Literal, LiteralString, Self, cast

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError

Key = tuple[str, ...]
"""Where a setting stands, such as ("server", "port")."""

OnDisconnect = Literal["drop-waiting", "continue", "cancel"]
PerTurn = Literal["queue", "enqueue", "reject", "interrupt", "rollback", "merge"]
OnRestart = Literal["run", "fail"]
LogFormat = Literal["console", "json"]
HttpLibrary = Literal["hypercorn", "uvicorn"]

ORIGIN = re.compile(r"\*|[a-z][a-z0-9+.-]*://(\[[0-9a-fA-F:.]+\]|[^\s/:@?#\[\]]+)(:\d{1,5})?")
HOST = re.compile(r"\*|(\*\.)?[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*|\[[0-9A-Fa-f:.]+\]")
HTTP_URL = re.compile(r"https?://[^\s/?#]+(/[^\s?#]*)?")
TOKEN = re.compile(
    r"(?:([A-Za-z0-9._-]{1,64}):)?"  # The caller's name.
    r"([A-Za-z0-9._~+/-]+=*)"  # RFC 6750: what fits behind `Bearer`.
)


class SettingsError(Exception):
    """The settings are not valid. `problems` has one line for each thing that is wrong."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n  ".join(["the settings are not valid:", *problems]))
        self.problems = problems


def is_loopback(host: str) -> bool:
    """Whether an address can be reached from this machine alone."""
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host.lower() == "localhost"


def _none_in_words(value: object) -> object:
    """TOML and the environment have no null, so there the text `none` stands for it."""
    return None if value == "none" else value


def _matching(pattern: re.Pattern[str], refusal: LiteralString) -> AfterValidator:
    """Refuse any other text, and say what is allowed, not the pattern."""

    def check(value: str) -> str:
        if pattern.fullmatch(value) is None:
            raise PydanticCustomError("pattern", refusal)
        return value

    return AfterValidator(check)


def _one_body(value: int, info: ValidationInfo) -> int:
    if value < info.data.get("max_body_bytes", 0):
        raise PydanticCustomError("too_small", "should be at least max_body_bytes")
    return value


def _listed(value: object) -> object:
    """`[server.tokens]` may be a table too, of a token for each name."""
    if isinstance(value, dict):
        return [f"{name}:{token}" for name, token in cast("dict[str, object]", value).items()]
    return value


def _one_caller_each(tokens: tuple[str, ...]) -> tuple[str, ...]:
    """A token tells who calls, so it belongs to one; a caller may have several."""
    callers: dict[str, str] = {}
    for name, token in (found for one in tokens for found in TOKEN.findall(one)):
        other = callers.setdefault(token, name)
        if other != name:
            both = " and ".join(
                repr(one) if one else "a caller without a name" for one in (other, name)
            )
            raise PydanticCustomError(
                "shared_token", "gives one token to {both}; each needs its own", {"both": both}
            )
    return tokens


def _one_or_more(value: object) -> object:
    """A single one needs no list."""
    return [value] if isinstance(value, str) else value


def _a_key(value: str) -> str:
    """As standardwebhooks.com has it: at least 24 bytes in base64."""
    with suppress(ValueError):
        prefix, _, key = value.partition("_")
        if prefix == "whsec" and 24 <= len(b64decode(key, validate=True)) <= 64:
            return value
    raise PydanticCustomError(
        "webhook_secret", 'should be "whsec_" and 24 to 64 random bytes in base64'
    )


# A year at most: timers of the platform overflow on figures that nobody means.
Seconds = Annotated[float, Field(gt=0, le=31_536_000, allow_inf_nan=False)]
# No timer: what a law has one keep may be for ten years.
LongOrNone = Annotated[
    Annotated[float, Field(gt=0, le=3_153_600_000, allow_inf_nan=False)] | None,
    BeforeValidator(_none_in_words),
]
DrainSeconds = Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)]
SecondsOrNone = Annotated[Seconds | None, BeforeValidator(_none_in_words)]
Count = Annotated[int, Field(ge=1, le=1_000_000)]
CountOrZero = Annotated[int, Field(ge=0, le=1_000_000)]
CountOrNone = Annotated[Count | None, BeforeValidator(_none_in_words)]
Bytes = Annotated[int, Field(ge=1, le=2**30)]
AllBodies = Annotated[int, AfterValidator(_one_body)]
Text = Annotated[str, Field(min_length=1, max_length=1000)]
Origin = Annotated[str, _matching(ORIGIN, 'should be scheme://host, scheme://host:port or "*"')]
HostName = Annotated[
    str, _matching(HOST, 'should be a host name without a port, "*." and a name, or "*"')
]
Token = Annotated[
    str, _matching(TOKEN, "should be one or more of A-Z a-z 0-9 . _ ~ + / -, or name:token")
]
# Not strict: TOML and JSON have lists where a frozen model has a tuple.
PerTurns = Annotated[tuple[PerTurn, ...], Field(strict=False)]
Origins = Annotated[tuple[Origin, ...], Field(strict=False)]
HostNames = Annotated[tuple[HostName, ...], Field(strict=False)]
Tokens = Annotated[
    tuple[Token, ...],
    Field(strict=False),
    BeforeValidator(_listed),
    AfterValidator(_one_caller_each),
]
WebhookSecrets = Annotated[
    tuple[Annotated[str, AfterValidator(_a_key)], ...],
    Field(strict=False),
    BeforeValidator(_one_or_more),
]
Names = Annotated[tuple[Text, ...], Field(strict=False)]
OtelUrl = Annotated[
    Annotated[str, _matching(HTTP_URL, "should be http://host:port or https://host:port")] | None,
    BeforeValidator(_none_in_words),
]
FileOrNone = Annotated[Text | None, BeforeValidator(_none_in_words)]
Options = dict[str, Any]


class Table(BaseModel):
    # Strict, so that `port = "8080"` or `threads = true` in a file is an error and not a guess.
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)


def knob(default: Any, description: str, **more: Any) -> Any:
    return Field(default, description=description, **more)


class AgentSettings(Table):
    id: Text = knob("agent", "the agent's id in every reply", max_length=128)
    target: Text = knob("eliza", "what answers: a built-in's name or package.module:attribute")
    turn_timeout_s: SecondsOrNone = knob(120.0, 'seconds that a turn may run, or "none"')
    threads: int = knob(64, "threads for agents that are not async", ge=1, le=1024)
    max_hung_threads: int = knob(
        64, "threads that never came back and are replaced; at so many, not ready", ge=0, le=1024
    )
    max_reply_bytes: Bytes = knob(1_048_576, "a longer reply fails the turn")
    max_state_bytes: Bytes = knob(
        4_194_304, "a larger state, or more told by its tools, fails the turn"
    )
    history_turns: CountOrNone = knob(None, 'turns of the past that the agent sees, or "none": all')
    expose_agent_errors: bool = knob(False, "tell clients the agent's own error text")
    options: Options = knob({}, "keyword arguments for a factory target")


class StrategySettings(Table):
    name: Text = knob("queue", "when a turn may run: a known name or package.module:Class")
    max_running: Count = knob(8, "turns that may run at once, over all conversations")
    max_waiting: CountOrZero = knob(1_000, "turns that may wait, over all conversations")
    max_waiting_per_caller: CountOrNone = knob(
        None, 'turns of a named caller that may wait, or "none": an equal share'
    )
    max_waiting_per_conversation: CountOrZero = knob(100, "turns that may wait in a conversation")
    max_wait_s: SecondsOrNone = knob(
        None, 'seconds to wait without a deadline, or "none": as measured'
    )
    on_disconnect: OnDisconnect = knob(
        "drop-waiting", "what happens to a turn when its client leaves; Prefer may override it"
    )
    per_turn: PerTurns = knob((), "strategies that clients may choose by Turn-Strategy")
    options: Options = knob({}, "the strategy's own options")


class ServerSettings(Table):
    host: Text = knob("127.0.0.1", "address to listen at", max_length=255)
    port: int = knob(8080, "port to listen at; 0 takes any free one", ge=0, le=65535)
    http: HttpLibrary = knob("hypercorn", "the HTTP server; uvicorn is an extra to install")
    certfile: FileOrNone = knob(None, 'certificate chain in PEM for TLS, or "none": plain HTTP')
    keyfile: FileOrNone = knob(None, 'its private key in PEM, or "none": in certfile too')
    drain_s: DrainSeconds = knob(30.0, "seconds that running turns get to finish after SIGTERM")
    idle_shutdown_s: SecondsOrNone = knob(
        None, 'shut down after this many seconds without a turn, or "none"'
    )
    max_body_bytes: Bytes = knob(1_048_576, "a longer request body is refused")
    max_bodies_bytes: AllBodies = knob(
        67_108_864,
        "bytes for bodies that arrive, and as many for living turns",
        le=2**40,
        validate_default=True,
    )
    max_message_bytes: Bytes = knob(262_144, "a longer message is refused")
    max_json_depth: int = knob(32, "JSON nested deeper is refused", ge=1, le=500)
    max_conversation_id_length: int = knob(128, "a longer id is refused", ge=7, le=1024)
    stream_comment_s: Seconds = knob(15.0, "seconds between comments on a silent event stream")
    resume_s: Seconds = knob(300.0, "seconds to keep the events of an ended turn")
    resume_turns: Count = knob(10_000, "ended turns whose events are kept, at most")
    resume_bytes: Bytes = knob(33_554_432, "bytes of memory for those events, at most")
    body_timeout_s: Seconds = knob(30.0, "seconds in which a request body must arrive")
    header_timeout_s: Seconds = knob(5.0, "seconds in which request headers must arrive")
    max_connections: Count = knob(16_384, "connections open at once")
    allowed_hosts: HostNames = knob((), 'further names to answer to: NAME, *.NAME or "*"')
    cors_origins: Origins = knob((), 'web pages that may call: scheme://host[:port] or "*"')
    tokens: Tokens = knob((), "tokens of the callers, each TOKEN or name:TOKEN", repr=False)
    operators: Names = knob((), "callers who see everyone's turns on the page, and may cancel them")
    operators_see_texts: bool = knob(False, "show operators the messages of others too")
    insecure: bool = knob(False, "serve other machines without a token")

    @property
    def callers(self) -> dict[str, str]:
        """Each token with its caller's name, "" for one without."""
        return {token: name for one in self.tokens for name, token in TOKEN.findall(one)}

    @property
    def sharers(self) -> int:
        """Among how many callers what is bounded is shared; those without a name are one."""
        return len(set(self.callers.values())) or 1

    @property
    def bodies_share(self) -> int:
        """What one of them may hold of `max_bodies_bytes`: one body at least."""
        return max(self.max_bodies_bytes // self.sharers, self.max_body_bytes)

    @model_validator(mode="after")
    def _known_operators(self) -> Self:
        unknown = [one for one in self.operators if one not in self.callers.values()]
        if unknown:
            raise PydanticCustomError(
                "unknown_operator",
                "names the operator {name}, who has no token: add {name}:TOKEN to server.tokens",
                {"name": unknown[0]},
            )
        return self

    @model_validator(mode="after")
    def _guarded(self) -> Self:
        if not (self.insecure or self.tokens or is_loopback(self.host)):
            raise PydanticCustomError(
                "unguarded",
                "lets other machines in without a token: set server.tokens, or a loopback "
                "address such as 127.0.0.1, or say --insecure (server.insecure = true)",
                {"host": self.host},
            )
        return self


class DoorSettings(Table):
    off: Names = knob((), "doors that are not there: openai, ag_ui, a2a, langgraph, mcp, ...")


class WebhookSettings(Table):
    allowed_hosts: HostNames = knob((), 'hosts that Webhook-URL may name: NAME, *.NAME or "*"')
    secret: WebhookSecrets = knob(
        (), "what webhooks are signed with: whsec_BASE64, or several of them", repr=False
    )
    allow_internal: bool = knob(False, "send webhooks to private and loopback addresses too")

    @model_validator(mode="after")
    def _signed(self) -> Self:
        if self.allowed_hosts and not self.secret:
            raise PydanticCustomError(
                "unsigned", "has allowed_hosts and no secret: webhooks are always signed"
            )
        return self


class StoreSettings(Table):
    url: Text = knob(
        "sqlite:///runner.db", "where history is kept: sqlite:///FILE, postgresql://... or memory:"
    )
    lease_s: Seconds = knob(30.0, "Postgres: seconds of silence that cost a process its turns")
    on_restart: OnRestart = knob(
        "run", "what happens to a turn that was running when the server was killed"
    )
    max_attempts: int = knob(3, "attempts at one turn, over restarts", ge=1, le=100)
    keep_turns_s: Seconds = knob(86_400.0, "seconds to keep background turns and keys")
    keep_turns: Count = knob(10_000, "background turns and keys to keep at most")
    keep_history_s: LongOrNone = knob(
        None, 'seconds to keep a conversation after its last turn, or "none"'
    )
    memory_turns: Count = knob(1_000_000, "turns that memory: keeps; then the oldest go")
    memory_bytes: int = knob(268_435_456, "bytes that memory: keeps", ge=1, le=2**40)


class ObservabilitySettings(Table):
    log: LogFormat = knob("console", "how log lines look, on stderr")
    log_messages: bool = knob(False, "log the text of messages too")
    access_log: bool = knob(False, "log each request: method, path, status, client, time")
    metrics: bool = knob(True, "answer GET /metrics, for Prometheus")
    page: bool = knob(True, "show the web page at GET /, and what it asks for")
    otel: OtelUrl = knob(None, 'where spans go: http://host:4318 (OTLP over HTTP), or "none"')


class Settings(Table):
    agent: AgentSettings = AgentSettings()
    strategy: StrategySettings = StrategySettings()
    server: ServerSettings = ServerSettings()
    doors: DoorSettings = DoorSettings()
    webhook: WebhookSettings = WebhookSettings()
    store: StoreSettings = StoreSettings()
    observability: ObservabilitySettings = ObservabilitySettings()


def _fields() -> Iterator[tuple[Key, FieldInfo]]:
    for table, field in Settings.model_fields.items():
        yield (table,), field
        model = cast("type[Table]", field.annotation)
        yield from (((table, key), inner) for key, inner in model.model_fields.items())


FIELDS = dict(_fields())
"""Tables and keys, in this order."""

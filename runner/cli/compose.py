"""Settings, agent, store, strategy and server meet here. Imports come late, for `--help`."""

from __future__ import annotations

from dataclasses import fields, replace
from functools import partial
from typing import TYPE_CHECKING

from runner import extras, start
from runner.cli import flags

if TYPE_CHECKING:
    from runner.agents.base import About, Agent
    from runner.agents.threads import Threads
    from runner.server.server import HttpServer
    from runner.settings import Settings
    from runner.turns.service import Service
    from strategies import Limits

ONE_PROCESS = (
    "is for one process, and a Postgres may be shared by many: choose queue, lock or reject, or "
    "another store"
)

IN_ONE_PROCESS = (
    "remembers its conversations in an object of one process, and a Postgres may be shared by "
    "many: give it get_state() and set_state(state), or let it take `history`"
)

OTEL_MODULES = ("opentelemetry.sdk.trace", "opentelemetry.exporter.otlp.proto.http")


def compose(settings: Settings) -> Service:
    """Everything that serves, connected and not yet started.

    Raises UsageError, and OwnCodeError for what the user's own modules raise.
    """
    from runner import doors
    from runner.agents.threads import Threads
    from runner.store import POSTGRES, UnknownStore, make_store
    from runner.turns.service import Service
    from strategies import registry

    if settings.observability.otel is not None and (
        absent := extras.missing("otel", *OTEL_MODULES)
    ):
        raise flags.UsageError(f"observability.otel is set: {absent}")
    start.look_here()
    answers, strategy, kept = settings.agent, settings.strategy, settings.store
    wrong = UnknownStore, registry.UnknownStrategy, doors.UnknownDoor, doors.BrokenDoor
    with flags.usage_errors(*wrong):
        doors.check(settings)
        registry.find(strategy.name)
        store = make_store(kept.url, kept.memory_turns, kept.memory_bytes)
    threads = Threads(
        answers.threads, most_hung=answers.max_hung_threads, callers=settings.server.sharers
    )
    agent = _make_agent(settings, threads)
    make_strategy = partial(
        registry.make,
        strategy.name,
        limits=_limits(settings, agent.about),
        options=strategy.options,
        defaults={"max_merged_bytes": settings.server.max_message_bytes},
        per_turn=bool(strategy.per_turn),
    )
    with flags.usage_errors(TypeError, ValueError, about=f"strategy {strategy.name}: "):
        if kept.url.startswith(POSTGRES):
            service = _sharing(settings, agent, threads)
        else:
            service = Service(settings, agent, store, make_strategy, threads=threads)
    if settings.observability.otel is not None:
        from runner.telemetry.tracing import Tracing

        with flags.usage_errors(ValueError, about="observability.otel: "):
            service.observers.add(Tracing(settings, agent.about.target))
    return service


def _sharing(settings: Settings, agent: Agent, threads: Threads) -> Service:
    """One process of those that share a Postgres."""
    from runner.engine.sharing import CHOICES, Sharing
    from runner.engine.store import SharedStore
    from runner.turns.service import Service

    strategy, kept = settings.strategy, settings.store
    for name in (strategy.name, *strategy.per_turn):
        if name not in CHOICES:
            raise flags.UsageError(f"strategy {name!r} {ONE_PROCESS}")
    if strategy.options:
        raise flags.UsageError(f"strategy.options {ONE_PROCESS}")
    if agent.about.loses:
        raise flags.UsageError(f"agent {settings.agent.target!r} {IN_ONE_PROCESS}")
    store = SharedStore(kept.url)
    sharing = Sharing(settings, store, _limits(settings, agent.about))
    return Service(
        settings,
        agent,
        store,
        sharing.make_strategy,
        now=store.now,
        threads=threads,
        sharing=sharing,
    )


def _make_agent(settings: Settings, threads: Threads) -> Agent:
    """The agent, of which it is known that it can be made."""
    from runner.agents.loader import AgentNotFound, load_agent
    from runner.store.memory import MemoryStore
    from strategies import AgentFailed

    given, target = settings.agent, f"agent {settings.agent.target!r}"
    with flags.usage_errors(AgentNotFound):
        agent = load_agent(
            given.target,
            given.options,
            threads=threads,
            max_reply_bytes=given.max_reply_bytes,
            max_state_bytes=given.max_state_bytes,
        )
    if agent.about.single_conversation and any(settings.server.callers.values()):
        raise flags.UsageError(
            f"{target} is one object with one history, which several callers "
            "would share. Serve its class or a factory, or remove the names from server.tokens"
        )
    failures = (AgentFailed, OSError, TypeError, ValueError)
    with flags.told_when_slow(f"{target}: the first one is being made"):
        with flags.usage_errors(*failures, about=f"{target}: "):
            agent.try_out(MemoryStore().history("default"))
    return agent


def _limits(settings: Settings, about: About) -> Limits:
    from strategies import Limits

    named = vars(settings.agent) | vars(settings.strategy)  # Each is a setting of the same name.
    limits = Limits(**{limit.name: named[limit.name] for limit in fields(Limits)})
    if about.one_at_a_time:
        limits = replace(limits, max_running=1)
    if limits.max_waiting_per_caller is None and settings.server.sharers > 1:
        # So one caller's flood never costs another its place in the line.
        share = max(limits.max_waiting // settings.server.sharers, 1)
        return replace(limits, max_waiting_per_caller=share)
    return limits


def http_library(settings: Settings) -> HttpServer:
    """The module that carries HTTP. Raises UsageError."""
    from runner.server.tls import context_of

    with flags.usage_errors(OSError, about="server.certfile: "):
        context_of(settings.server)
    if settings.server.http == "hypercorn":
        from runner.server import hypercorn

        return hypercorn
    if absent := extras.missing("uvicorn", "uvicorn"):
        raise flags.UsageError(f'server.http is "uvicorn": {absent}')
    from runner.server import uvicorn

    return uvicorn

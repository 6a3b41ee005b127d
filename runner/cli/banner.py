"""What a person sees when the server is up: what serves where, and how to change each."""

from __future__ import annotations

from textwrap import wrap

from runner.agents.base import About
from runner.config.masking import without_secrets
from runner.settings import Settings

WIDTH = 80

SINGLE = (
    "Note: this object has one history, so only the conversation `default` is served; "
    "serve its class or a factory to have one for each."
)
ONE_AT_A_TIME = (
    "Note: this object answers one turn at a time, over all conversations (max_running = 1); "
    "serve a factory that makes it to have several answered at once."
)
OPEN = "Note: anyone who can reach this address can use it; set [server] tokens to prevent that."


def banner(settings: Settings, about: About, url: str, command: str = "runner") -> str:
    """The block that is printed once the server answers at `url`. `command` runs this program."""
    agent = f"{about.target} ({about.kind})"
    store = without_secrets(settings.store.url)
    lines = [
        headline(settings, url),
        "",
        *_row("agent", agent, "runner serve package.module:attribute"),
        *_row("strategy", settings.strategy.name, "--strategy NAME; see `runner strategies`"),
        *_row("store", store, "--store sqlite:///FILE, postgresql://..."),
        *_row("address", url, "--host ADDRESS --port N"),
        "",
        "Try it:",
        *([f"  {url}/ in a browser"] if settings.observability.page else []),
        f"  curl {url}/chat -H 'Content-Type: application/json' \\",
        """    -d '{"message": "Hello"}'""",
        f"  {command} chat --url {url}",
    ]
    if settings.server.tokens:
        lines.insert(-2, "    -H 'Authorization: Bearer TOKEN' \\")
        lines[-1] += " --token TOKEN"
    if about.single_conversation:
        lines += ["", *wrap(SINGLE, WIDTH)]
    if about.one_at_a_time:
        lines += ["", *wrap(ONE_AT_A_TIME, WIDTH)]
    for loss in about.loses:
        lines += ["", *wrap(f"Note: {loss}", WIDTH)]
    if settings.server.insecure and not settings.server.tokens:
        lines += ["", *wrap(OPEN, WIDTH)]
    return "\n".join([*lines, "", f"Every setting and its source: {command} config show", ""])


def headline(settings: Settings, url: str) -> str:
    return f"runner serves {settings.agent.id} at {url}"


def _row(name: str, value: str, change: str) -> list[str]:
    if len(value) <= 27:
        return [f"  {name:<9} {value:<27} {change}"]
    return [f"  {name:<9} {value}", f"{'':<39} {change}"]

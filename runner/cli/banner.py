"""What a person sees when the server is up: what serves where, and how to change each."""

from __future__ import annotations

from textwrap import wrap

from runner.agents.base import About
from runner.config.masking import without_password
from runner.settings import Settings

WIDTH = 80

SINGLE = (
    "Note: this object has one history, so only the conversation `default` is served; "
    "serve its class or a factory to have one for each."
)
OPEN = "Note: anyone who can reach this address may use it; [server] tokens would ask for one."


def banner(settings: Settings, about: About, url: str) -> str:
    """The block that is printed once the server answers at `url`."""
    agent = f"{about.target} ({about.kind})"
    rows = [
        ("agent", agent, "runner serve package.module:attribute"),
        ("strategy", settings.strategy.name, "--strategy NAME; see `runner strategies`"),
        ("store", without_password(settings.store.url), "--store sqlite:///FILE or memory:"),
        ("address", url, "--host ADDRESS --port N"),
    ]
    lines = [f"runner serves {settings.agent.id} at {url}", ""]
    for name, value, change in rows:
        lines += _row(name, value, change)
    lines += ["", "Try it:", *_curl(settings, url), f"  runner chat --url {url}"]
    for note in _notes(settings, about):
        lines += ["", *wrap(note, WIDTH)]
    return "\n".join([*lines, "", "Every setting and its source: runner config show", ""])


def _row(name: str, value: str, change: str) -> list[str]:
    line = f"  {name:<9} {value:<27} {change}"
    if len(line) <= WIDTH and len(value) <= 27:
        return [line]
    return [f"  {name:<9} {value}", f"  {'':<9} {'':<27} {change}"]


def _curl(settings: Settings, url: str) -> list[str]:
    lines = [f"  curl {url}/chat -H 'Content-Type: application/json' \\"]
    if settings.server.tokens:
        lines.append("    -H 'Authorization: Bearer TOKEN' \\")
    return [*lines, """    -d '{"message": "Hello"}'"""]


def _notes(settings: Settings, about: About) -> list[str]:
    notes: list[str] = []
    if about.single_conversation:
        notes.append(SINGLE)
    if settings.server.insecure and not settings.server.tokens:
        notes.append(OPEN)
    return notes

"""The command line, and the one place where settings, agent, store, strategy and server meet.

Commands import what they need when they run, so that `--help` comes at once.
"""

from __future__ import annotations

import sys
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem, get_completion_class

from runner import __version__
from runner.cli.flags import UsageError, load_settings, look_here, say, with_json, with_settings

ADDED = "runner.commands"
"""The entry point group for more commands; the load tests are there."""

if TYPE_CHECKING:
    from quart import Quart

    from runner.server.server import HttpServer
    from runner.settings import Settings
    from runner.turns.service import Service
    from strategies import Answer, Limits, Strategy


def main() -> None:
    """The console script."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:  # pyright: ignore[reportUnnecessaryComparison]
            # A name that the terminal cannot show is no reason to fail.
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    cli(prog_name="runner")


def _strategy_names(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    from strategies import registry

    known = registry.names().items()
    return [
        CompletionItem(name, help=about) for name, about in known if name.startswith(incomplete)
    ]


class _Commands(click.Group):
    """The commands below, and those that other packages add as entry points."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*super().list_commands(ctx), *sorted(entry_points(group=ADDED).names)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        for entry in entry_points(group=ADDED, name=cmd_name):
            command: click.Command = entry.load()
            return command
        return super().get_command(ctx, cmd_name)


@click.group(
    cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 90}
)
@click.version_option(__version__, prog_name="runner")
def cli() -> None:
    """Serve one agent to many callers, one turn of a conversation at a time.

    \b
    A turn is one message and its reply. A strategy decides when a turn may run:
    by default each conversation has a line (queue); it may have a fair lock (lock),
    or refuse what comes while it is busy (reject).

    \b
    Examples:
      runner serve                          the built-in agent, at 127.0.0.1:8080
      runner serve my_module:agent          a function, object or factory of yours
      runner serve my_module:agent --reload     start again when the code changes
      runner serve --strategy reject --set strategy.max_running=2
      runner chat                           talk to it from another terminal
      echo "Hello" | runner chat            or from a pipe

    \b
    Settings come from, the first that has one wins:
      1. flags                 --port 9000, or --set TABLE.KEY=VALUE for any
      2. the environment       RUNNER_SERVER__PORT=9000; RUNNER_AGENT,
                               RUNNER_STRATEGY and RUNNER_STORE for short
      3. ./runner.toml         [server] port = 9000
         or ./pyproject.toml   [tool.runner.server] port = 9000
      4. the defaults
    `runner config show` prints each with its source.

    Exit status: 0 done, 1 failed, 2 asked for something that cannot be.
    """


@cli.command("serve")
@click.argument("target", required=False)
@click.option("--strategy", metavar="NAME", shell_complete=_strategy_names, help="queue, lock, ...")
@click.option("--host", metavar="ADDRESS", help="Address to listen at.")
@click.option("--port", metavar="N", help="Port to listen at; 0 takes any free one.")
@click.option("--store", metavar="URL", help="sqlite:///FILE or memory:")
@click.option("--log", metavar="FORMAT", help="console or json, on stderr.")
@click.option("--agent-id", metavar="ID", help="The agent's id in every reply.")
@click.option("--insecure", is_flag=True, help="Serve other machines without a token.")
@click.option("--reload", is_flag=True, help="Start again when *.py or runner.toml changes.")
@with_settings
@click.pass_context
def serve_command(
    context: click.Context, /, assignments: tuple[str, ...], reload: bool, **flags: object
) -> None:
    """Serve an agent over HTTP until told to stop.

    TARGET is a built-in's name (see `runner agents`) or package.module:attribute,
    looked for in this directory first: a function, an object or a factory.

    \b
    Examples:
      runner serve
      runner serve my_module:agent --port 9000 --strategy lock
      runner serve my_module:make_agent --set agent.options.model=small

    Ctrl-C or SIGTERM lets running turns end, for server.drain_s seconds.
    """
    if reload:
        from runner.cli.reload import serve_with_reload

        arguments = [word for word in sys.argv[1:] if word != "--reload"]
        context.exit(serve_with_reload(arguments, Path.cwd()))
    loaded = load_settings(assignments, flags)
    for note in loaded.notes:
        click.echo(f"Note: {note}", err=True)
    context.exit(serve(loaded.settings))


def serve(settings: Settings) -> int:
    """Serve until told to stop; the exit status."""
    from runner.app import make_app
    from runner.cli.banner import banner
    from runner.server import server
    from runner.telemetry import configure_logging

    http = _http_server(settings)
    configure_logging(settings.observability)
    service = compose(settings)

    def announce(url: str) -> None:
        say(banner(settings, service.about, url))

    return server.run(make_app(service), service, http, announce)


def _http_server(settings: Settings) -> HttpServer:
    """The module that carries HTTP. Raises UsageError."""
    if settings.server.http == "hypercorn":
        from runner.server import hypercorn

        return hypercorn
    if find_spec("uvicorn") is None:
        raise UsageError(
            'server.http is "uvicorn", which is not installed: pip install "turnline[uvicorn]".'
        )
    from runner.server import uvicorn

    return uvicorn


def make_asgi_app() -> Quart:
    """The app for another ASGI server, with settings from the environment and the files."""
    from runner.app import make_app
    from runner.telemetry import configure_logging

    settings = load_settings((), {}).settings
    configure_logging(settings.observability)
    return make_app(compose(settings))


def compose(settings: Settings) -> Service:
    """Everything that serves, connected and not yet started. Raises UsageError."""
    from runner.agents.loader import AgentNotFound, load_agent
    from runner.store import UnknownStore, make_store
    from runner.turns.service import Service
    from strategies import registry

    look_here()
    try:
        registry.find(settings.strategy.name)
        store = make_store(
            settings.store.url, settings.store.memory_turns, settings.store.memory_bytes
        )
        agent = load_agent(
            settings.agent.target,
            settings.agent.options,
            threads=settings.agent.threads,
            max_reply_bytes=settings.agent.max_reply_bytes,
        )
    except (AgentNotFound, UnknownStore, registry.UnknownStrategy) as error:
        raise UsageError(str(error)) from error
    if agent.about.single_conversation and any(settings.server.callers.values()):
        raise UsageError(
            f"agent {agent.about.target!r} is one object with one history, which several callers "
            "would share. Serve its class or a factory, or take the names off server.tokens"
        )

    def make_strategy(answer: Answer) -> Strategy:
        return registry.make(
            settings.strategy.name,
            answer,
            _limits(settings),
            settings.strategy.options,
            per_turn=bool(settings.strategy.per_turn),
        )

    try:
        return Service(settings, agent, store, make_strategy)
    except (TypeError, ValueError) as error:
        raise UsageError(f"strategy {settings.strategy.name}: {error}") from error


def _limits(settings: Settings) -> Limits:
    from strategies import Limits

    return Limits(
        max_running=settings.strategy.max_running,
        max_waiting=settings.strategy.max_waiting,
        max_waiting_per_conversation=settings.strategy.max_waiting_per_conversation,
        max_wait_s=settings.strategy.max_wait_s,
        turn_timeout_s=settings.agent.turn_timeout_s,
    )


@cli.command("chat")
@click.option("--url", default="http://127.0.0.1:8080", show_default=True, help="The server.")
@click.option("--conversation", default="default", show_default=True, metavar="ID")
@click.option("--token", envvar="RUNNER_TOKEN", show_envvar=True, help="If the server wants one.")
@click.pass_context
def chat_command(context: click.Context, url: str, conversation: str, token: str | None) -> None:
    """Talk to a running server, from a terminal or a pipe.

    One message a line; the reply is shown as it comes. Ctrl-C cancels the turn,
    /quit or Ctrl-D leaves.
    """
    from runner.cli.chat import chat
    from runner.cli.client import Server, is_http_url

    if not is_http_url(url):
        raise UsageError(f"--url {url!r} should be such as http://127.0.0.1:8080")
    context.exit(chat(Server(url, token), conversation))


@cli.command("strategies")
@with_json
def strategies_command(as_json: bool) -> None:
    """List the strategies that can be named."""
    from strategies import registry

    _list(registry.names(), as_json)
    if not as_json:
        say("\nOr one of your own: --strategy package.module:Class")


@cli.command("agents")
@with_json
def agents_command(as_json: bool) -> None:
    """List the agents that can be named."""
    from runner.agents import loader

    _list(loader.names(), as_json)
    if not as_json:
        say("\nOr one of your own: runner serve package.module:attribute")


def _list(names: dict[str, str], as_json: bool) -> None:
    from runner.cli import tables

    say(tables.as_json(names) if as_json else tables.names_as_text(names))


@cli.group("config")
def config_group() -> None:
    """Show the settings and where each comes from, or check them."""


@config_group.command("show")
@with_settings
@click.option("--describe", is_flag=True, help="Say what each setting is for.")
@with_json
def show_command(assignments: tuple[str, ...], describe: bool, as_json: bool) -> None:
    """Print every setting with its source. The text is itself a valid runner.toml."""
    from runner.cli import tables

    loaded = load_settings(assignments)
    if as_json:
        say(tables.settings_as_json(loaded))
    else:
        say(tables.settings_as_toml(loaded, describe=describe))


@config_group.command("check")
@with_settings
@with_json
@click.pass_context
def check_command(context: click.Context, /, assignments: tuple[str, ...], as_json: bool) -> None:
    """Check what `serve` would: settings, strategy, store and agent. Opens no store or port."""
    from runner.cli import tables

    try:
        settings = load_settings(assignments).settings
        _http_server(settings)
        service = compose(settings)
    except UsageError as error:
        if not as_json:
            raise
        say(tables.as_json({"valid": False, "problem": error.message}))
        context.exit(UsageError.exit_code)
    about = service.about
    if as_json:
        say(tables.as_json({"valid": True, "agent": about.target, "kind": about.kind}))
    else:
        say(f"valid; {about.target} is taken for: {about.kind}")


@cli.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion_command(shell: str) -> None:
    """Print the script that completes `runner` in a shell.

    \b
    bash: runner completion bash > ~/.local/share/bash-completion/completions/runner
    zsh:  runner completion zsh > a file named _runner in a directory of $fpath
    fish: runner completion fish > ~/.config/fish/completions/runner.fish
    """
    script = get_completion_class(shell)
    assert script is not None
    say(script(cli, {}, "runner", "_RUNNER_COMPLETE").source())


if __name__ == "__main__":
    main()

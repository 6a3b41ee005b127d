"""The command line. Where settings, agent, store, strategy and server meet: `cli/compose.py`.

Commands import what they need when they run, so that `--help` comes at once.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from importlib import import_module
from io import TextIOWrapper
from typing import TYPE_CHECKING

import click
from click import argument, option, pass_context
from click.shell_completion import CompletionItem, get_completion_class

import runner
from runner import start
from runner.cli import flags
from runner.cli.archive import export_command, import_command
from runner.cli.compose import compose, http_library
from runner.cli.own_code import with_traceback
from runner.process import LEAVE_S, watchdog

if TYPE_CHECKING:
    from quart import Quart

    from runner.config.sources import Loaded

ADDED = "runner.commands"
"""The entry point group for more commands; the load tests are there."""


def main() -> None:
    """The console script, by either name. However a command ends, the process soon does too."""
    start.settle()
    watchdog.start()
    if sys.argv[1:2] == ["serve"]:
        watchdog.take_signals_early()
    status = 1
    try:
        _run()
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
        raise
    finally:
        watchdog.end_within(LEAVE_S, status)


def _run() -> None:
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            # A name that the terminal cannot show is no reason to fail.
            stream.reconfigure(errors="backslashreplace")
    cli(prog_name=flags.own_name())


def _strategy_names(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    from strategies import registry

    known = registry.names().items()
    return [CompletionItem(name, help=text) for name, text in known if name.startswith(incomplete)]


class _Commands(click.Group):
    """The commands below, and those that other packages add as entry points."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        from importlib.metadata import entry_points

        return [*super().list_commands(ctx), *sorted(entry_points(group=ADDED).names)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """As click does it, with each command's line whole."""
        known = ((name, self.get_command(ctx, name)) for name in self.list_commands(ctx))
        lines = [(name, command.get_short_help_str(1_000)) for name, command in known if command]
        with formatter.section("Commands"):
            formatter.write_dl(lines)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        from importlib.metadata import entry_points

        added = [entry.load() for entry in entry_points(group=ADDED, name=cmd_name)]
        return added[0] if added else super().get_command(ctx, cmd_name)


def _show_version(context: click.Context, parameter: click.Parameter, is_asked: bool) -> None:
    if is_asked:
        click.echo(f"{flags.own_name()}, version {runner.__version__}")
        context.exit()


@click.group(
    cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 90}
)
@option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Show the version and exit.",
)
def cli() -> None:
    """Serve one agent to many callers, one turn of a conversation at a time.

    \b
    A turn is one message and its reply. A strategy decides when a turn may run:
    by default each conversation has a line (queue); it may have a fair lock (lock),
    refuse what comes while it is busy (reject), let the last message win (interrupt),
    or answer those that wait together (merge).

    \b
    Examples:
      runner serve                          the built-in agent, at 127.0.0.1:8080
      runner serve my_module:agent          a function, object or factory of yours,
                                            or the agent of a framework
      runner serve my_module:agent --reload     start again when the code changes
      runner serve --strategy lock --set agent.turn_timeout_s=30
      runner chat                           talk to it from another terminal
      echo "Hello" | runner chat            or from a pipe
      runner top                            who runs and who waits

    \b
    Each setting comes from the first of these that has it:
      1. flags                 --port 9000, or --set TABLE.KEY=VALUE for any
      2. the environment       RUNNER_SERVER__PORT=9000; RUNNER_AGENT,
                               RUNNER_STRATEGY and RUNNER_STORE for short
      3. one file              of --config FILE or RUNNER_CONFIG, else of this folder:
         ./runner.toml         [server] port = 9000
         or ./pyproject.toml   [tool.runner.server] port = 9000
      4. the defaults
    `runner config show` prints every setting with its source.

    `turnline` is the same command, where another `runner` has the name.

    Exit status: 0 done, 1 failed, 2 wrong usage.
    """


_target = argument("agent__target", metavar="[TARGET]", required=False)


@cli.command("serve")
@_target
@option(
    "--strategy",
    "strategy__name",
    metavar="NAME",
    help="queue, lock, ...",
    shell_complete=_strategy_names,
)
@option("--host", "server__host", metavar="ADDRESS", help="Address to listen at.")
@option("--port", "server__port", metavar="N", help="Port to listen at; 0 takes any free one.")
@option("--store", "store__url", metavar="URL", help="sqlite:///FILE, postgresql://... or memory:")
@option("--log", "observability__log", metavar="FORMAT", help="console or json, on stderr.")
@option("--agent-id", "agent__id", metavar="ID", help="The agent's id in every reply.")
@option(
    "--insecure", "server__insecure", is_flag=True, help="Serve other machines without a token."
)
@option("--reload", is_flag=True, help="Start again when *.py or runner.toml changes.")
@option("--again", is_flag=True, hidden=True, help="Started by --reload, not for the first time.")
@flags.with_settings
@with_traceback
@pass_context
def serve_command(
    context: click.Context, /, reload: bool, again: bool, **_settings: object
) -> None:
    """Serve an agent over HTTP until told to stop.

    TARGET is a built-in's name (see `runner agents`) or package.module:attribute:
    a function, an object or a factory. Modules of this directory are found, after
    installed ones.

    \b
    Examples:
      runner serve
      runner serve my_module:agent --port 9000 --strategy lock
      runner serve my_module:make_agent --set agent.options.model=small

    After Ctrl-C or SIGTERM, running turns get server.drain_s seconds to finish; a second
    one stops at once.
    """
    if reload:
        from runner.cli.reload import serve_with_reload

        words = [word for word in sys.argv[1:] if word != "--reload"]
        context.exit(serve_with_reload(words, flags.config_named(context)))
    context.exit(serve(flags.load_settings(context), again=again))


def serve(loaded: Loaded, *, again: bool = False) -> int:
    """Serve until told to stop; the exit status. Who has seen the banner is not shown it again."""
    from runner.app import make_app
    from runner.cli.banner import banner, headline
    from runner.config.effects import without_effect
    from runner.server import server
    from runner.telemetry.log import configure_logging

    settings = loaded.settings
    http = http_library(settings)
    configure_logging(settings.observability)
    flags.tell(loaded.notes)
    service = compose(settings)
    flags.tell(without_effect(loaded, service.about))

    def announce(url: str) -> None:
        if again:
            flags.say(headline(settings, url))
        else:
            flags.say(banner(settings, service.about, url, flags.own_command()))

    return server.run(make_app(service), service, http, announce)


def make_asgi_app() -> Quart:
    """The app for another ASGI server, with settings from the environment and the files."""
    start.settle()
    from runner.app import make_app
    from runner.telemetry.log import configure_logging

    settings = flags.load_settings().settings
    configure_logging(settings.observability)
    return make_app(compose(settings))


@cli.command("chat")
@option("--url", default="http://127.0.0.1:8080", show_default=True, help="The server.")
@option("--conversation", default="default", show_default=True, metavar="ID")
@option("--token", envvar="RUNNER_TOKEN", show_envvar=True, help="Where the server wants one.")
@pass_context
def chat_command(context: click.Context, url: str, conversation: str, token: str | None) -> None:
    """Talk to a running server, from a terminal or a pipe.

    One message a line; the reply is shown as it comes. What the agent asks is asked here:
    y or n for a tool, or your words. Ctrl-C cancels the turn, /quit or Ctrl-D leaves.
    """
    from runner.cli.chat import chat

    context.exit(chat(url, token, conversation))


@cli.command("top")
@option("--url", default="http://127.0.0.1:8080", show_default=True, help="The server.")
@option("--token", envvar="RUNNER_TOKEN", show_envvar=True, help="Where the server wants one.")
@option("--once", is_flag=True, help="Show it once, for a pipe or `watch`.")
@flags.with_json
@pass_context
def top_command(
    context: click.Context, url: str, token: str | None, once: bool, as_json: bool
) -> None:
    """Show what a running server does: who runs, who waits, and the last minute.

    The page's view in a terminal; with a token, what its caller may see. q or Ctrl-C leaves.

    \b
    Examples:
      runner top
      runner top --url https://agents.example.org --token TOKEN
      runner top --once                     one look, also into a pipe
      runner top --json | jq .load          a document a line, as things change
    """
    from runner.cli.top import top

    context.exit(top(url, token, once=once, as_json=as_json))


def _add_list(command: str, module: str, own: str) -> None:
    @cli.command(command, help=f"List the {command} that can be named.")
    @flags.with_json
    def list_names(as_json: bool) -> None:
        from runner.cli.tables import names

        with flags.usage_errors(ValueError):
            known = import_module(module).names()
        flags.say(names(known, own, as_json=as_json))


_add_list("strategies", "strategies.registry", "--strategy package.module:Class")
_add_list("doors", "runner.doors", "a Door, named by an entry point of the group runner.doors")


@cli.command("agents")
@flags.with_json
def agents_command(as_json: bool) -> None:
    """List the agents that can be named, and the frameworks whose agents can be served."""
    from runner.agents.frameworks import frameworks
    from runner.agents.loader import names
    from runner.cli.tables import agents

    flags.say(agents(names(), frameworks(), as_json=as_json))


@cli.group("config")
def config_group() -> None:
    """Show the settings and where each comes from, or check them."""


@config_group.command("show")
@flags.with_settings
@option("--describe", is_flag=True, help="Say what each setting is for.")
@flags.with_json
@pass_context
def show_command(
    context: click.Context, /, describe: bool, as_json: bool, **_settings: object
) -> None:
    """Print every setting with its source. The text is itself a valid runner.toml."""
    from runner.cli.tables import settings_as_json, settings_as_toml
    from runner.config.effects import without_effect
    from strategies import registry

    loaded = flags.load_settings(context)
    if loaded.settings.strategy.name in registry.BUILT_IN:  # To show imports nobody's module.
        loaded = replace(loaded, notes=[*loaded.notes, *without_effect(loaded)])
    flags.say(settings_as_json(loaded) if as_json else settings_as_toml(loaded, describe=describe))


@config_group.command("check")
@_target
@flags.with_settings
@with_traceback
@flags.with_json
@pass_context
def check_command(context: click.Context, /, as_json: bool, **_settings: object) -> None:
    """Check what `serve` would: settings, strategy, store and agent. Opens no store or port.

    TARGET is what `runner serve` takes.
    """
    from runner.cli.tables import to_json
    from runner.config.effects import without_effect

    try:
        loaded = flags.load_settings(context)
        http_library(loaded.settings)
        about = compose(loaded.settings).about
    except click.ClickException as error:
        if not as_json:
            raise
        flags.say(to_json({"valid": False, "problem": error.message}))
        context.exit(error.exit_code)
    notes = [*loaded.notes, *without_effect(loaded, about), *about.loses]
    if as_json:
        found = {"valid": True, "agent": about.target, "kind": about.kind, "notes": notes}
        flags.say(to_json(found))
    else:
        flags.tell(notes)
        flags.say(f"valid; {about.target} is taken for: {about.kind}")


cli.add_command(export_command)
cli.add_command(import_command)


@cli.command("migrate")
@option("--store", "store__url", metavar="URL", help="postgresql://USER@HOST/DATABASE")
@option("--from", "source", metavar="URL", help="A store to move there: sqlite:///FILE")
@flags.with_settings
@flags.with_json
@pass_context
def migrate_command(
    context: click.Context, /, source: str | None, as_json: bool, **_settings: object
) -> None:
    """Make the store's tables, or bring them to this version.

    `serve` does so too when it starts; this is for who deploys in steps, or whose server
    may not make tables.

    \b
    Examples:
      runner migrate --store postgresql://me@db.example.org/agents
      runner migrate --store postgresql://me@db.example.org/agents --from sqlite:///runner.db

    With --from, all that is in a SQLite store is copied: history, states, and turns that have
    not run yet. End its server first. The tables in Postgres must be empty; the file stays.
    """
    from runner.cli.migrate import migrate

    migrate(flags.load_settings(context).settings.store.url, source, as_json=as_json)


@cli.command("completion")
@argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion_command(shell: str) -> None:
    """Print the script that completes `runner` in a shell; `turnline` prints its own.

    \b
    bash: runner completion bash > ~/.local/share/bash-completion/completions/runner
    zsh:  runner completion zsh > a file named _runner in a directory of $fpath
    fish: runner completion fish > ~/.config/fish/completions/runner.fish
    """
    script = get_completion_class(shell)
    assert script is not None
    name = flags.own_name()
    flags.say(script(cli, {}, name, f"_{name.upper()}_COMPLETE").source())


if __name__ == "__main__":
    main()

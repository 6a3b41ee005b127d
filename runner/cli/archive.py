"""`runner export` and `runner import`: the commands. What they do is imported when they run."""

from __future__ import annotations

from typing import BinaryIO

import click

from runner.cli import flags

_store = click.option(
    "--store",
    "store__url",
    metavar="URL",
    help="sqlite:///FILE or postgresql://...; by default that of the settings.",
)


@click.command("export")
@_store
@click.option(
    "--conversation", "names", metavar="ID", multiple=True, help="Only this one. Repeatable."
)
@click.option("--caller", metavar="NAME", help="Only this named caller's conversations.")
@flags.with_settings
@click.pass_context
def export_command(
    context: click.Context, /, names: tuple[str, ...], caller: str | None, **_settings: object
) -> None:
    """Write conversations to standard output, as JSON Lines.

    With their history, the agents' states and open questions, and all ids and instants, so
    that each goes on where it was when it is imported into another store. The file is as the
    store was at one instant; a server may run meanwhile, and is not held up.

    Turns that wait or run are not in it: let them end first. docs/export.md describes the
    format.

    \b
    Examples:
      runner export > all.jsonl
      runner export --store sqlite:////var/lib/agent/runner.db | gzip > all.jsonl.gz
      runner export --caller ann > ann.jsonl
      runner export --caller ann --conversation c1 --conversation c2 > two.jsonl
    """
    from runner.cli.exporting import export

    url = flags.load_settings(context).settings.store.url
    context.exit(export(url, names, caller))


@click.command("import")
@click.argument("file", type=click.File("rb"))
@_store
@click.option("--skip-existing", is_flag=True, help="Leave conversations alone that are there.")
@flags.with_settings
@flags.with_json
@click.pass_context
def import_command(
    context: click.Context,
    /,
    file: BinaryIO,
    skip_existing: bool,
    as_json: bool,
    **_settings: object,
) -> None:
    """Take the conversations of an export into a store.

    FILE is what `runner export` wrote, or - for standard input. The server must be stopped.

    The whole file is checked first: if it is broken, or a conversation in it exists in the
    store, nothing is imported. From a pipe, which can be read only once, conversations are
    imported until that is met. A conversation is imported wholly or not at all, even if the
    command is killed; run it again with --skip-existing for the rest.

    \b
    Examples:
      runner import all.jsonl
      runner import --store sqlite:///new.db all.jsonl
      gunzip -c all.jsonl.gz | runner import --skip-existing -
      ssh old runner export | runner import -
    """
    from runner.cli.importing import import_file

    url = flags.load_settings(context).settings.store.url
    context.exit(import_file(url, file, skip_existing=skip_existing, as_json=as_json))

"""A process that serves as `runner serve` does, and says in JSON what it took the agent for."""

from __future__ import annotations

import json
import os

import click

from runner.app import make_app
from runner.cli import flags
from runner.cli.compose import compose, http_library
from runner.cli.own_code import with_traceback
from runner.server import server
from runner.telemetry.log import configure_logging


@click.command()
@flags.with_settings
@with_traceback
@click.pass_context
def main(context: click.Context, /, **_settings: object) -> None:
    # What the agent prints is not ours to read.
    ours = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    settings = flags.load_settings(context).settings
    configure_logging(settings.observability)
    service = compose(settings)

    def announce(url: str) -> None:
        about = service.about
        told = {
            "url": url,
            "kind": about.kind,
            "single_conversation": about.single_conversation,
            "loses": about.loses,
        }
        print(json.dumps(told), file=ours, flush=True)

    context.exit(server.run(make_app(service), service, http_library(settings), announce))


if __name__ == "__main__":
    main()

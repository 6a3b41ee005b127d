"""What a person is told whom a server refuses, or does not answer."""

from __future__ import annotations

from runner.cli.flags import own_command
from runner.client.errors import Refused, TurnlineError


def unreached(url: str, error: TurnlineError) -> str:
    """Of a server that did not answer, with what helps."""
    if isinstance(error, Refused):
        return (
            f"nothing answers at {url} ({error.detail}); name another address with --url, or "
            f"start a server with: {own_command()} serve"
        )
    return f"{url} did not answer: {error.detail}"


def refusal(error: TurnlineError) -> str:
    """Of a server that answered, with what helps."""
    if error.status == 401:
        return f"{error} Use --token TOKEN, or set RUNNER_TOKEN."
    if error.retry_after_s:
        return f"{error} Try again in {error.retry_after_s:g} s."
    return str(error)

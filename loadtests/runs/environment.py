"""On what a comparison ran: what a reader needs to run it again, and nothing about whose it is."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

PACKAGES = ("quart", "hypercorn", "locust", "gevent", "geventhttpclient")


def describe(server: str = "") -> dict[str, Any]:
    """Machine, Python, packages and the commit of the code, as JSON would have them.

    server  the URL of a Postgres server whose version belongs to it. Raises psycopg.Error.
    """
    return {
        "turnline": version("turnline"),
        "commit": _commit(),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "load_average_at_start": round(os.getloadavg()[0], 2),
        **{name: version(name) for name in PACKAGES},
        **(_postgres(server) if server else {}),
    }


def _postgres(server: str) -> dict[str, Any]:
    from loadtests.runs import databases  # Needs what only the extra `postgres` brings.

    packages = {name: version(name) for name in ("psycopg", "procrastinate")}
    return {"postgres": databases.version(server), **packages}


def _commit() -> str:
    """The commit, with a `+` where files differ from it; "" outside a checkout."""
    folder = Path(__file__).parent.parent
    words = (["rev-parse", "--short", "HEAD"], ["status", "--porcelain", "--", "."])
    try:
        commit, changed = (
            subprocess.run(
                ["git", *arguments], cwd=folder, capture_output=True, text=True, check=True
            ).stdout.strip()
            for arguments in words
        )
    except (OSError, subprocess.CalledProcessError):
        return ""
    return commit + ("+" if changed else "")

"""A process that sees a root file system of its own, read-only, as a user without any rights.

Bubblewrap makes it, out of what is installed here: no container engine and no image is needed.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from tests.deploy.shipped import beside_python, found
from tests.support.client import LIMIT_S
from tests.support.server import ROOT

OF_ETC = ("group", "hosts", "ld.so.cache", "localtime", "nsswitch.conf", "passwd")

SYSTEM = ("bin", "lib", "lib64", "sbin", "usr")

INSTALLED = "/opt/turnline/bin/runner"
"""Where the image and the unit have the command."""

USER = "10001"


class Sandbox:
    """Start it with `with`; it ends at the latest when that ends.

    command   one that starts a server.
    writable  folders out here, by their path in there; in there nothing else can be written.
    readable  files and folders out here, by their path in there.
    """

    def __init__(
        self,
        command: Sequence[str],
        folder: str,
        writable: Mapping[str, Path],
        readable: Mapping[str, Path] | None = None,
        **environment: str,
    ) -> None:
        self.port = 0
        self.output = ""
        path = f"{Path(INSTALLED).parent}:{os.environ['PATH']}"
        self._environment = {"PATH": path, "PYTHONPATH": str(ROOT), **environment}
        self._command = [
            found("bwrap"),
            *("--unshare-user", "--unshare-pid", "--uid", USER, "--gid", USER),
            *("--cap-drop", "ALL", "--die-with-parent", "--new-session"),
            *_system(),
            *(part for inside, path in writable.items() for part in ("--bind", str(path), inside)),
            *_readable(readable or {}),
            *("--remount-ro", "/", "--chdir", folder),
            *command,
        ]
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._command,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            self.port = self._announced()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exc_info: object) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.communicate(timeout=LIMIT_S)

    def stop(self) -> int:
        """The exit status, after SIGTERM to the command itself."""
        assert self._process is not None
        (inner,) = _children(self._process.pid)
        (command,) = _children(inner)
        os.kill(command, signal.SIGTERM)
        return self._process.wait(LIMIT_S)

    def _announced(self) -> int:
        assert self._process is not None
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.output += line
            if match := re.search(r"http://[^\s/]+:(\d+)", line):
                return int(match[1])
        raise AssertionError(f"it did not start:\n{self.output}")


def _system() -> list[str]:
    """Python, the environment of the tests and Turnline, at the places where they are."""
    arguments = ["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"]
    for name in SYSTEM:
        here = Path("/", name)
        kind = ("--symlink", os.readlink(here)) if here.is_symlink() else ("--ro-bind", str(here))
        arguments += [*kind, str(here)] if here.exists() else []
    for name in OF_ETC:
        arguments += ["--ro-bind-try", f"/etc/{name}", f"/etc/{name}"]
    for path in sorted({sys.base_prefix, sys.prefix, str(ROOT)}):
        arguments += ["--ro-bind", path, path]
    return [*arguments, "--symlink", beside_python("runner"), INSTALLED]


def _readable(files: Mapping[str, Path]) -> list[str]:
    return [part for inside, path in files.items() for part in ("--ro-bind", str(path), inside)]


def _children(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

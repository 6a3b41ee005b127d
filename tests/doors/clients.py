"""Test the doors, and the page, where their clients are installed: `make test-doors`.

A test that is skipped fails this: a client that is not there shows nothing.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

from tests.doors import node
from tests.support.environment import make
from tests.support.server import ROOT

OPTIONS = ("-q", "-n", "3", "--dist", "loadscope", "-W", "default", "--disable-warnings")
"""On two cores, for much of it is waiting. Warnings of other people's code are not ours to mend."""


def main(chosen: Sequence[str]) -> int:
    python = make("clients", ROOT / "requirements-clients.lock")
    node.install()
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        tests = chosen or ["tests/doors", *map(str, ROOT.glob("tests/web/test_browser_*.py"))]
        command = [str(python), "-m", "pytest", *tests, *OPTIONS, f"--junit-xml={report}"]
        status = subprocess.run(command, cwd=ROOT).returncode
        skipped = [*ElementTree.parse(report).iter("skipped")]
    if skipped:
        print("skipped, which none should be:")
        print(*{one.get("message") for one in skipped}, sep="\n")
    return status or bool(skipped)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

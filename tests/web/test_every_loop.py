"""Who looks, over each event loop that the server may have."""

from __future__ import annotations

from pathlib import Path

from tests.support.look import Look
from tests.support.server import Server

COMMENT = ""


def test_a_turn_after_a_silence_is_told_without_a_fault(folder: Path) -> None:
    with Server(folder, server__stream_comment_s=0.5) as server, Look(server.port) as look:
        look.until(COMMENT)  # So what is told next is due at once.
        turn = server.chat("a").json["turn_id"]
        look.until_seen(lambda _: turn in look.marks)
        assert [line["event"] for line in server.logged] == ["turn ended"]

"""A webhook that the client asks for."""

from __future__ import annotations

import json
from pathlib import Path

from tests.client.conftest import Connect
from tests.support.client import until
from tests.support.server import Server
from tests.webhooks.receiver import Receiver
from tests.webhooks.test_webhooks import KNOBS


def test_the_end_of_a_background_turn_is_posted_to_its_webhook(
    tmp_path: Path, connect: Connect
) -> None:
    with Receiver() as receiver, Server(tmp_path, **KNOBS) as server:
        turn = connect(server).background("hello", webhook=receiver.url)
        until(lambda: len(receiver.hooks) == 1, "the turn's end is told")
        assert json.loads(receiver.hooks[0].body)["turn_id"] == turn.id

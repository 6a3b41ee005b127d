"""Webhooks of background turns, over sockets: signed, sent again, after a kill, not anywhere."""

from __future__ import annotations

import asyncio
import gc
import hmac
import json
import runpy
import sqlite3
import weakref
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from runner.settings import WebhookSettings
from runner.store.base import AcceptedTurn
from runner.store.memory import MemoryStore
from runner.turns.ending import of
from runner.turns.live_turn import LiveTurn
from runner.webhooks.deliveries import Deliveries
from strategies import TurnTimeout
from tests.support.client import until
from tests.support.server import ROOT, Knobs, Server
from tests.webhooks.receiver import Hook, Receiver, Silent

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
KNOBS: Knobs = {
    "webhook__allowed_hosts": ["localhost"],
    "webhook__secret": SECRET,
    "webhook__allow_internal": True,
}


def also(**webhook: object) -> Knobs:
    """The same, with these of the table set otherwise."""
    return {**KNOBS, **{f"webhook__{name}": value for name, value in webhook.items()}}


@pytest.fixture(scope="module")
def http() -> str:
    return "hypercorn"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("webhooks"), **KNOBS) as running:
        yield running


def ask(server: Server, receiver: Receiver, message: str, conversation: str) -> str:
    return server.ask(message, conversation, webhook_url=receiver.url)


def has_come(receiver: Receiver, count: int = 1) -> None:
    until(lambda: len(receiver.hooks) >= count, f"{count} webhooks come")


def is_signed(hook: Hook, *secrets: str) -> bool:
    headers = hook.headers
    content = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + hook.body
    signatures: list[str] = []
    for secret in secrets or (SECRET,):
        digest = hmac.digest(b64decode(secret.removeprefix("whsec_")), content, "sha256")
        signatures.append(f"v1,{b64encode(digest).decode()}")
    return headers["webhook-signature"] == " ".join(signatures)


def test_the_end_of_a_turn_is_told_as_it_would_be_asked_for(server: Server) -> None:
    with Receiver() as receiver:
        turn_id = ask(server, receiver, "hello", "told")
        has_come(receiver)
    (hook,) = receiver.hooks
    assert hook.path == "/turns?from=us"
    assert hook.headers["webhook-id"] == turn_id
    assert hook.headers["content-type"] == "application/json"
    assert is_signed(hook)
    assert json.loads(hook.body) == server.turn(turn_id)


def test_the_receiver_of_the_docs_takes_it_as_it_came_and_no_other(server: Server) -> None:
    with Receiver() as receiver:
        ask(server, receiver, "hello", "docs")
        has_come(receiver)
    is_ours = runpy.run_path(str(ROOT / "docs" / "examples" / "webhook.py"))["is_ours"]
    (hook,) = receiver.hooks
    assert is_ours(hook.headers, hook.body)
    assert not is_ours(hook.headers, hook.body + b" ")
    assert not is_ours({**hook.headers, "webhook-id": "other"}, hook.body)
    assert not is_ours({**hook.headers, "webhook-timestamp": "1600000000"}, hook.body)


def test_a_turn_that_fails_or_is_cancelled_is_told_too(server: Server) -> None:
    with Receiver() as receiver:
        ask(server, receiver, "raise Exception", "failed")
        has_come(receiver)
        turn_id = ask(server, receiver, "until never", "cancelled")
        server.until_called("until never")
        assert len(receiver.hooks) == 1  # Nothing is told before the end.
        server.cancel(turn_id)
        has_come(receiver, 2)
    assert [json.loads(hook.body)["state"] for hook in receiver.hooks] == ["failed", "cancelled"]


def test_a_webhook_that_was_not_taken_is_sent_again(server: Server) -> None:
    with Receiver(500, 204) as receiver:
        turn_id = ask(server, receiver, "hello", "again")
        has_come(receiver, 2)
    assert [hook.headers["webhook-id"] for hook in receiver.hooks] == [turn_id] * 2
    assert all(map(is_signed, receiver.hooks))
    stamps = [int(hook.headers["webhook-timestamp"]) for hook in receiver.hooks]
    assert stamps[1] - stamps[0] >= 3


def logged(server: Server, turn_id: str, event: str) -> dict[str, Any]:
    """What was said of the turn's webhook."""

    def said() -> list[dict[str, Any]]:
        return [one for one in server.logged if (one.get("event"), one.get("turn_id")) == told]

    told = event, turn_id
    until(lambda: bool(said()), f"it is logged: {event}")
    return said()[0]


def test_a_receiver_says_when_it_wants_it_again(server: Server) -> None:
    with Receiver(429, retry_after="600") as receiver:
        turn_id = ask(server, receiver, "hello", "later")
        line = logged(server, turn_id, "webhook not delivered")
    assert 600 < line["again_in_s"] < 610
    assert line["reason"] == "localhost answered 429"
    assert server.health()["webhooks_retrying"] >= 1


def test_a_receiver_that_wants_no_more_is_left_alone(server: Server) -> None:
    with Receiver(410) as receiver:
        turn_id = ask(server, receiver, "hello", "gone")
        assert logged(server, turn_id, "webhook not wanted")["status"] == 410
    assert len(receiver.hooks) == 1


def test_while_a_secret_is_replaced_it_is_signed_with_both(tmp_path: Path) -> None:
    secrets = ["whsec_" + b64encode(bytes(24)).decode(), SECRET]
    with Receiver() as receiver, Server(tmp_path, **also(secret=secrets)) as own:
        ask(own, receiver, "hello", "two")
        has_come(receiver)
        shown = own.log
    assert is_signed(receiver.hooks[0], *secrets)
    assert "whsec_" not in shown


def test_one_whose_conversation_is_deleted_is_given_up_and_that_is_said(tmp_path: Path) -> None:
    with Receiver(503) as receiver, Server(tmp_path, **KNOBS) as own:
        turn_id = ask(own, receiver, "hello", "deleted")
        logged(own, turn_id, "webhook not delivered")
        assert own.request("DELETE", "/conversations/deleted").status == 204
        assert "not kept any more" in logged(own, turn_id, "webhook given up")["reason"]
        assert own.health()["webhooks_retrying"] == 0
    assert len(receiver.hooks) == 1


def test_a_shutdown_while_one_is_on_its_way_loses_nothing(tmp_path: Path) -> None:
    with Silent() as silent, Server(tmp_path, **KNOBS) as own:
        own.ask("hello", "cut", webhook_url=silent.url)
        until(lambda: silent.count >= 1, "it has come")
        assert own.stop() == 0
        own.start()
        until(lambda: silent.count >= 2, "it comes again")


def test_receivers_that_never_answer_hold_up_no_other(tmp_path: Path) -> None:
    knobs = also(allowed_hosts=["localhost", "127.0.0.1"])
    with Silent() as silent, Receiver() as receiver, Server(tmp_path, **knobs) as own:
        for number in range(12):
            own.ask("hello", f"{number}", webhook_url=silent.url)
        until(lambda: silent.count >= 4, "four are on their way")
        own.ask("hello", "other", webhook_url=receiver.url.replace("localhost", "127.0.0.1"))
        has_come(receiver)
        assert silent.count == 4


def test_a_thousand_for_a_dead_receiver_at_a_restart_cost_four_sockets(tmp_path: Path) -> None:
    with Silent() as silent, Server(tmp_path, **KNOBS) as own:
        own.ask("hello", "first", webhook_url=silent.url)
        until(lambda: silent.count >= 1, "it has come")
        own.kill()
        with closing(sqlite3.connect(tmp_path / "runner.db")) as db, db:
            columns = db.execute("SELECT name FROM pragma_table_info('accepted')").fetchall()
            others = ", ".join(name for (name,) in columns if name not in ("sequence", "id"))
            numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 1000)"
            db.execute(
                f"{numbers} INSERT INTO accepted (id, {others})"
                f" SELECT printf('%032x', i), {others} FROM accepted, n"
            )
        own.start()
        before = silent.count
        until(lambda: silent.count >= before + 4, "some are on their way")
        assert own.chat("meanwhile").status == 200
        open_now = [one for one in own.process.net_connections() if one.raddr]
        assert sum(one.raddr.port == silent.port for one in open_now) == 4
        assert own.stop() == 0


def test_an_answer_without_end_is_not_read(server: Server) -> None:
    with Silent(b"HTTP/1.1 200 OK\r\ncontent-length: 999999999999\r\n\r\n" + b"x" * 999) as one:
        turn_id = server.ask("hello", "endless", webhook_url=one.url)
        assert logged(server, turn_id, "webhook delivered")["status"] == 200


def test_a_head_without_end_is_not_read_either(server: Server) -> None:
    with Silent(b"HTTP/1.1 200 OK\r\nx: " + b"y" * 99_999) as one:
        turn_id = server.ask("hello", "head", webhook_url=one.url)
        assert (
            "Receive buffer too long" in logged(server, turn_id, "webhook not delivered")["reason"]
        )


def test_a_redirect_is_not_followed(server: Server) -> None:
    with Receiver(307) as receiver:
        turn_id = ask(server, receiver, "hello", "redirect")
        has_come(receiver)
        until(lambda: f'"{turn_id}"' in server.log and "307" in server.log, "it is logged")
    assert {hook.path for hook in receiver.hooks} == {"/turns?from=us"}


def test_what_a_kill_left_untold_is_told_by_the_next_process(tmp_path: Path) -> None:
    with Receiver(503) as receiver, Server(tmp_path, **KNOBS) as server:
        ended = ask(server, receiver, "hello", "ended")
        has_come(receiver)
        running = ask(server, receiver, "hang-at-first", "running")
        server.until_called("hang-at-first")
        server.kill()
        receiver.statuses = [204]
        server.start()
        has_come(receiver, 3)
        told = {hook.headers["webhook-id"]: json.loads(hook.body) for hook in receiver.hooks[1:]}
        assert {*told} == {ended, running}
        assert told[running]["attempt"] == 2
        server.stop()  # Not a kill: that may come before it is marked.
        server.start()
        server.until_quiet()
    assert len(receiver.hooks) == 3


def test_a_private_address_gets_nothing_unless_that_is_allowed(tmp_path: Path) -> None:
    with Receiver() as receiver:
        with Server(tmp_path, **also(allow_internal=False)) as server:
            ask(server, receiver, "hello", "private")
            until(lambda: "no public address" in server.log, "it is logged")
    assert not receiver.hooks


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://elsewhere.example/", "'elsewhere.example' is not in [webhook] allowed_hosts"),
        ("http://localhost@elsewhere.example/", "is such as https://"),
        ("http://localhost\\@elsewhere.example/", "is such as https://"),
        ("http://localhost:99999/", "is such as https://"),
        ("ftp://localhost/", "is such as https://"),
        ("localhost", "is such as https://"),
        ("http://localhost/#part", "is such as https://"),
        ("", "is such as https://"),
    ],
)
def test_a_url_that_is_not_allowed_is_refused_with_words(
    server: Server, url: str, words: str
) -> None:
    refused = server.chat("hello", "refused", prefer="respond-async", webhook_url=url)
    assert (refused.status, refused.cause) == (400, "malformed-request")
    assert words in refused.json["detail"]
    assert not server.history("refused")


def test_a_webhook_is_for_a_turn_in_the_background(server: Server) -> None:
    refused = server.chat("hello", "waits", webhook_url="http://localhost/")
    assert refused.status == 400
    assert "respond-async" in refused.json["detail"]


def test_a_server_without_the_setting_sends_none(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        refused = server.chat("a", prefer="respond-async", webhook_url="https://hooks.example/")
    assert refused.status == 400
    assert "[webhook]" in refused.json["detail"]


class Seen(LiveTurn):
    """One of which can be told whether anybody holds it."""

    __slots__ = ("__weakref__",)


async def test_what_waits_to_be_sent_again_holds_nothing_of_its_turn() -> None:
    settings = WebhookSettings(allowed_hosts=("localhost",), secret=(SECRET,), allow_internal=True)
    store, url = MemoryStore(), "http://localhost:1/"
    row = AcceptedTurn("a" * 32, "default", "hello", accepted_at=0.0, webhook=url)
    await store.accept(row)
    await store.end(row.id, of(TurnTimeout(), 1))
    found: list[weakref.ref[LiveTurn]] = []

    async def find(turn_id: str) -> LiveTurn | None:
        kept = await store.find(turn_id)
        assert kept is not None
        live = Seen.from_kept(kept, 0.0)
        found.append(weakref.ref(live))
        return live

    deliveries = Deliveries(settings, store, find)
    deliveries.tell_as({"": lambda live: b"{}"})
    await deliveries.open()
    while not deliveries.retrying:
        await asyncio.sleep(0)
    gc.collect()
    assert found
    assert [one() for one in found] == [None] * len(found)
    deliveries.close()

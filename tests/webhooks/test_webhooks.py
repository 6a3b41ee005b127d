"""Webhooks of background turns, over sockets: signed, sent again, after a kill, not anywhere."""

from __future__ import annotations

import hmac
import json
from base64 import b64decode, b64encode
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.client import until
from tests.support.server import Knobs, Server
from tests.webhooks.receiver import Hook, Receiver

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
KNOBS: Knobs = {
    "webhook__allowed_hosts": ["localhost"],
    "webhook__secret": SECRET,
    "webhook__allow_internal": True,
}


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


def is_signed(hook: Hook) -> bool:
    headers = hook.headers
    content = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + hook.body
    digest = hmac.digest(b64decode(SECRET.removeprefix("whsec_")), content, "sha256")
    return headers["webhook-signature"] == f"v1,{b64encode(digest).decode()}"


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
        server.kill()
        server.start()
        server.until_quiet()
    assert len(receiver.hooks) == 3


def test_a_private_address_gets_nothing_unless_that_is_allowed(tmp_path: Path) -> None:
    with Receiver() as receiver:
        with Server(tmp_path, **{**KNOBS, "webhook__allow_internal": False}) as server:
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

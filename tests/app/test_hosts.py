"""Which `Host` is answered to, by settings and by where the connection was taken."""

from __future__ import annotations

import pytest

from runner.api.hosts import Hosts
from runner.api.problems import RequestError
from runner.settings import ServerSettings

LOOPBACK = ServerSettings()
ALLOWED = ServerSettings(host="0.0.0.0", tokens=("secret",), allowed_hosts=("chat.example",))


def is_answered(settings: ServerSettings, host: str, address: str = "") -> bool:
    try:
        Hosts(settings).check(host.encode(), address)
    except RequestError as error:
        return bool(error.refusal.document["status"] != 421)
    return True


def test_where_no_address_is_told_the_settings_count() -> None:
    assert is_answered(LOOPBACK, "localhost")
    assert not is_answered(LOOPBACK, "chat.example")


@pytest.mark.parametrize("address", ["10.0.0.5", "testserver", "::ffff:10.0.0.5"])
def test_under_another_server_that_listens_elsewhere_any_name_is_answered_to(address: str) -> None:
    assert is_answered(LOOPBACK, "chat.example", address)


@pytest.mark.parametrize(
    ("host", "address"),
    [("10.0.0.5:8080", "10.0.0.5"), ("10.0.0.5", "::ffff:10.0.0.5"), ("[FD00::1]:80", "fd00:0::1")],
)
def test_the_address_that_was_connected_to_is_always_answered_to(host: str, address: str) -> None:
    assert is_answered(ALLOWED, host, address)
    assert not is_answered(ALLOWED, host, "10.0.0.6")


def test_a_star_allows_any_name() -> None:
    assert is_answered(ServerSettings(allowed_hosts=("*",)), "chat.example", "127.0.0.1")


def test_an_examination_that_is_remembered_is_the_same() -> None:
    hosts = Hosts(LOOPBACK)
    for _ in range(2):
        with pytest.raises(RequestError):
            hosts.check(b"chat.example", "127.0.0.1")

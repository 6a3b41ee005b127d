"""Where webhooks may go, how they are signed, and the settings for it."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from runner.settings import WebhookSettings
from runner.webhooks.address import NotAllowed, Target, is_public, resolve
from runner.webhooks.signing import signed

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def allowing(*hosts: str, allow_internal: bool = False) -> WebhookSettings:
    return WebhookSettings(allowed_hosts=hosts, secret=(SECRET,), allow_internal=allow_internal)


def test_a_signature_is_that_of_the_standards_own_example() -> None:
    body = b'{"test": 2432232314}'
    headers = signed([SECRET], "msg_p5jXN8AQM9LWM0D4loKWxJek", body, 1614265330)
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize(
    ("allowed", "url"),
    [
        ("hooks.example", "https://hooks.example/a?b=c"),
        ("hooks.example", "https://HOOKS.example.:8443"),
        ("*.team.example", "https://a.b.team.example/"),
        ("[2001:db8::1]", "https://[2001:DB8::1]/"),
        ("*", "http://anything.example/"),
    ],
)
def test_a_host_is_allowed_by_its_name(allowed: str, url: str) -> None:
    Target.parse(url, allowing(allowed))


@pytest.mark.parametrize(
    ("allowed", "url"),
    [
        ("hooks.example", "https://a.hooks.example/"),
        ("hooks.example", "https://hooks.example.evil.example/"),
        ("*.team.example", "https://team.example/"),
        ("*.team.example", "https://ateam.example/"),
        ("hooks.example", "https://hooks.example@evil.example/"),
        ("hooks.example", "https://evil.example/@hooks.example"),
    ],
)
def test_a_host_is_not_allowed_by_what_only_looks_like_it(allowed: str, url: str) -> None:
    with pytest.raises(NotAllowed):
        Target.parse(url, allowing(allowed))


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
        "0.0.0.0", "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1%eth0", "fd00::1",
        "::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::",
        "::127.0.0.1", "fec0::1", "64:ff9b:1::7f00:1", "2001:0:7f00:1::", "ff0e::1", "::ffff:0:0",
    ],
)  # fmt: skip
def test_an_address_of_a_network_of_ones_own_is_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700:4700::1111", "::ffff:8.8.8.8"])
def test_an_address_of_the_internet_is_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "host", ["localhost", "127.0.0.1", "[::1]", "2130706433", "0x7f.1", "a..b"]
)
async def test_whatever_leads_to_this_machine_or_nowhere_is_not_allowed(host: str) -> None:
    settings = allowing("*")
    with pytest.raises((NotAllowed, OSError)):
        await resolve(Target.parse(f"http://{host}/", settings), settings)


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_c2hvcnQ=", "MfKQ9r8GKYqrTwjUPD8ILPZIo2La"])
def test_a_secret_that_is_none_is_refused(secret: str) -> None:
    with pytest.raises(ValidationError):
        WebhookSettings.model_validate({"secret": secret})


def test_hosts_without_a_secret_are_refused() -> None:
    with pytest.raises(ValidationError, match="always signed"):
        WebhookSettings(allowed_hosts=("hooks.example",))

"""What of a setting is shown to people: no secret, and as much else as is safe."""

from __future__ import annotations

import pytest

from runner.config.masking import MASK, is_secret, shown, without_secrets
from runner.settings import FIELDS

SECRET_KEYS = (
    "auth", "pwd", "authorization", "Authorization", "bearer", "pat", "access-key", "accessKey",
    "X-Api-Key", "api_key", "apiKey", "APIKey", "apikey", "APIKEY", "openaikey", "key", "keys",
    "secret", "client_secret", "clientSecret", "token", "tokens", "token2", "authToken",
    "authtoken", "new_token", "max_token_secret", "password", "passwd", "pass", "dbpass",
    "user_pass", "pw", "passphrase", "userpwd", "credential", "credentials", "creds",
    "aws_creds", "basicauth",
    "oauth", "oauth2", "authz", "authentication", "x-auth", "github_pat", "jwt", "cookie",
    "session_cookie", "private_key", "privateKey", "ssh.key", "dsn", "signature", "pin", "otp",
    "api%5Fkey", "sort_key",
)  # fmt: skip

PLAIN_KEYS = (
    "path", "pattern", "max_tokens", "maxTokens", "max_new_tokens", "token_limit", "token_count",
    "tokens_per_minute", "num_tokens", "tokenizer", "tokenizer_name", "tokenize", "keyboard",
    "monkey", "turkey", "donkey", "hockey", "author", "authors", "authority", "model", "name",
    "passenger", "patience_s", "spinner", "pinned", "signal", "temperature", "url", "keyword",
)  # fmt: skip


@pytest.mark.parametrize("key", SECRET_KEYS)
def test_the_value_of_a_key_that_may_name_a_secret_is_masked(key: str) -> None:
    assert is_secret(key)
    for value in ("hidden", 99887766, ["hidden"], {"user": "hidden", "deep": {"x": "hidden"}}):
        assert "hidden" not in repr(shown(("agent", "options", key), value))
        assert "99887766" not in repr(shown(("agent", "options", key), value))
    assert MASK in repr(shown(("agent", "options", "headers"), {key: "hidden"}))


@pytest.mark.parametrize("key", PLAIN_KEYS)
def test_a_key_that_only_looks_like_one_stays_readable(key: str) -> None:
    for value in ("readable", 48, ["readable"]):
        assert shown(("agent", "options", key), value) == value


def test_a_switch_is_no_secret() -> None:
    assert shown(("agent", "options", "auth"), True) is True
    assert shown(("agent", "options", "token"), None) is None


def test_of_the_known_settings_only_tokens_and_a_secret_are_masked() -> None:
    masked = [path for path in FIELDS if shown(path, "readable") != "readable"]
    assert masked == [("server", "tokens"), ("webhook", "secret")]


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("postgresql://me:hidden@host/db", "postgresql://me:***@host/db"),
        ("postgresql://u:A@hidden@h/db", "postgresql://u:***@h/db"),
        ("postgresql://u:hid/den@hidden?x@h:5432/db", "postgresql://u:***@h:5432/db"),
        ("redis://:hidden@host:6379/0", "redis://:***@host:6379/0"),
        ("https://hidden@github.com/x", "https://***@github.com/x"),
        ("u:A@hidden@h", "u:***@h"),
        ("http://h/v1?api_key=hidden", "http://h/v1?api_key=***"),
        ("http://h/v1?a=1&X-Api-Key=hidden&b=2", "http://h/v1?a=1&X-Api-Key=***&b=2"),
        ("http://h/v1?api%5Fkey=hidden", "http://h/v1?api%5Fkey=***"),
        ("http://h/#access_token=hidden", "http://h/#access_token=***"),
        ("host=h password=hidden", "host=h password=***"),
        ("Server=h;Pwd=hidden;Database=d", "Server=h;Pwd=***;Database=d"),
        ("Authorization: Basic hidden", "Authorization: ***"),
        ("Accept: x; Authorization: Bearer hidden", "Accept: x; Authorization: ***"),
        ('{"api_key": "hidden"}', '{"api_key": ***'),
        ("{'pwd':'hidden'}", "{'pwd':***"),
        ("Bearer hidden", "***"),
        ("sk-hidden12345", "***"),
        ("ghp_hidden12345", "***"),
        ("eyJhidden12345.hidden.hidden", "***"),
    ],
)
def test_a_secret_inside_a_text_is_masked(text: str, rest: str) -> None:
    assert without_secrets(text) == rest


@pytest.mark.parametrize(
    "text",
    [
        "sqlite:///runner.db",
        "memory:",
        "http://127.0.0.1:8080/path?pattern=x&max_tokens=48",
        "http://h/users/@me",
        "http://[::1]:8080",
        "my_auth:agent",
        "tests.secrets:Key",
        "strategies.queue:Queue",
        "author=Ann, monkey=2",
        "Think before you answer: briefly.",
        "me@example.org",
        "a skill, a risk-averse task and a basic understanding",
        "",
    ],
)
def test_a_text_without_a_secret_is_shown_as_it_is(text: str) -> None:
    assert without_secrets(text) == text

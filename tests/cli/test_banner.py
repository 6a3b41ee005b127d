"""What a person sees when the server is up."""

from __future__ import annotations

from runner.agents.base import About
from runner.cli.banner import banner
from runner.settings import ServerSettings, Settings, StoreSettings

URL = "http://127.0.0.1:8080"
ABOUT = About("eliza", "built-in", wants_history=True, single_conversation=False)


def test_it_says_what_serves_where_and_how_to_try_it() -> None:
    text = banner(Settings(), ABOUT, URL)
    for part in ("eliza (built-in)", "queue", "sqlite:///runner.db", f"curl {URL}/chat"):
        assert part in text


def test_it_fits_80_columns_with_a_long_target() -> None:
    about = About("package.module:make_the_agent", "async function", True, True)
    assert max(map(len, banner(Settings(), about, URL).splitlines())) <= 80


def test_an_object_with_one_history_comes_with_a_warning() -> None:
    about = About("m:agent", "object", wants_history=False, single_conversation=True)
    assert "only the conversation `default` is served" in " ".join(
        banner(Settings(), about, URL).split()
    )


def test_a_server_with_tokens_is_tried_with_one_and_shows_none() -> None:
    text = banner(Settings(server=ServerSettings(tokens=("t0ken",))), ABOUT, URL)
    assert "Authorization: Bearer TOKEN" in text
    assert "t0ken" not in text


def test_a_password_of_the_store_is_not_shown() -> None:
    settings = Settings(store=StoreSettings(url="postgresql://me:hidden@host/db"))
    assert "hidden" not in banner(settings, ABOUT, URL)

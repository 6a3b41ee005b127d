"""What a person sees when the server is up."""

from __future__ import annotations

import shlex
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from runner.agents.base import About
from runner.agents.loader import load_agent
from runner.agents.threads import Threads
from runner.cli.banner import banner
from runner.cli.flags import own_command
from runner.settings import ObservabilitySettings, ServerSettings, Settings, StoreSettings

URL = "http://127.0.0.1:8080"
ABOUT = About("eliza", "built-in", wants_history=True, single_conversation=False)


def test_it_says_what_serves_where_and_how_to_try_it() -> None:
    text = banner(Settings(), ABOUT, URL)
    for part in ("eliza (built-in)", "queue", "sqlite:///runner.db", f"curl {URL}/chat"):
        assert part in text


def test_it_names_the_page_first_where_there_is_one() -> None:
    _, tries = banner(Settings(), ABOUT, URL).split("Try it:\n")
    assert tries.startswith(f"  {URL}/ in a browser\n")
    without = Settings(observability=ObservabilitySettings(page=False))
    assert "browser" not in banner(without, ABOUT, URL)


def test_it_fits_80_columns_with_a_long_target() -> None:
    about = About("package.module:make_the_agent", "async function", True, True)
    assert max(map(len, banner(Settings(), about, URL).splitlines())) <= 80


def test_an_object_with_one_history_comes_with_a_warning() -> None:
    about = About("m:agent", "object", wants_history=False, single_conversation=True)
    assert "only the conversation `default` is served" in " ".join(
        banner(Settings(), about, URL).split()
    )


def said(about: About) -> str:
    """As one line."""
    return " ".join(banner(Settings(), about, URL).split())


def test_an_object_that_answers_one_at_a_time_comes_with_the_way_out() -> None:
    about = replace(ABOUT, one_at_a_time=True)
    assert "answers one turn at a time, over all conversations" in said(about)
    assert "serve a factory" in said(about)
    assert "one turn at a time" not in said(ABOUT)


def test_what_an_agent_loses_is_told_before_it_is_lost() -> None:
    about = replace(ABOUT, loses=("It forgets all.", "And more."))
    assert "Note: It forgets all." in said(about)
    assert "Note: And more." in said(about)
    assert "Note:" not in said(ABOUT)


@pytest.mark.parametrize(
    ("target", "noted", "unsaid"),
    [
        ("keepers:notebook", ["one turn at a time"], ["a restart loses it", "`default`"]),
        ("keepers:Notebook", [], ["Note:"]),
        ("agents:counter", ["a restart loses it", "get_state()", "`default`"], ["at a time"]),
        ("agents:make_counter", ["a restart loses it", "get_state()"], ["`default`", "at a time"]),
        ("agents:echo", [], ["Note:"]),
        ("keepers:asking", [], ["Note:"]),
    ],
)
def test_each_kind_of_agent_is_told_what_it_is_to_lose_and_no_more(
    target: str, noted: list[str], unsaid: list[str]
) -> None:
    """I-28: where history and state cannot be one, it is said at the start."""
    agent = load_agent(f"tests.support.{target}", {}, threads=Threads(1), max_reply_bytes=1_000)
    agent.try_out([])
    text = said(agent.about)
    assert [words for words in noted if words not in text] == []
    assert [words for words in unsaid if words in text] == []


def test_a_server_with_tokens_is_tried_with_one_and_shows_none() -> None:
    text = banner(Settings(server=ServerSettings(tokens=("t0ken",))), ABOUT, URL)
    assert "Authorization: Bearer TOKEN" in text
    assert f"chat --url {URL} --token TOKEN\n" in text
    assert "t0ken" not in text


def test_a_password_of_the_store_is_not_shown() -> None:
    settings = Settings(store=StoreSettings(url="postgresql://me:hidden@host/db"))
    assert "hidden" not in banner(settings, ABOUT, URL)


def test_what_to_try_next_is_run_by_the_command_that_this_shell_needs() -> None:
    text = banner(Settings(), ABOUT, URL, "/a/bin/runner")
    assert f"  /a/bin/runner chat --url {URL}\n" in text
    assert "/a/bin/runner config show" in text


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A console script, by which this process was started."""
    monkeypatch.setattr(sys, "argv", [str(executable(tmp_path / "my bin" / "runner")), "serve"])
    return Path(sys.argv[0])


def executable(file: Path) -> Path:
    file.parent.mkdir(exist_ok=True)
    file.touch(0o755)
    return file


def test_a_script_on_the_path_goes_by_its_name(
    script: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(script.parent))
    assert own_command() == "runner"


def test_a_script_that_is_not_on_the_path_goes_by_its_full_path(
    script: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["my bin/runner"])
    assert shlex.split(own_command()) == [str(script)]


def test_another_runner_on_the_path_is_not_taken_for_this_one(
    script: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(executable(tmp_path / "other" / "runner").parent))
    assert shlex.split(own_command()) == [str(script)]


def test_without_a_script_it_goes_by_its_python(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["runner/__main__.py"])
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    assert own_command() == f"{tmp_path / 'python'} -m runner"

"""Where settings come from, and what is said when they are wrong."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from runner.cli.tables import description
from runner.config.sources import Loaded, from_text, load
from runner.settings import FIELDS, Settings, SettingsError, is_loopback


def given(
    folder: Path,
    *flags: str,
    environ: Mapping[str, str] | None = None,
    config: str | None = None,
    **files: str,
) -> Loaded:
    """Load with flags such as `server.port=1` and files such as runner="[server]..."."""
    for name, text in files.items():
        (folder / f"{name}.toml").write_text(text)
    values = [
        one
        for flag in flags
        for key, _, text in [flag.partition("=")]
        for one in from_text(tuple(key.split(".")), text, f"--{key}")
    ]
    return load(values, environ=environ or {}, folder=folder, config=config)


def problems(
    folder: Path,
    *flags: str,
    environ: Mapping[str, str] | None = None,
    config: str | None = None,
    **files: str,
) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        given(folder, *flags, environ=environ, config=config, **files)
    return caught.value.problems


def test_with_nothing_given_the_defaults_hold(tmp_path: Path) -> None:
    assert given(tmp_path).settings == Settings()


def test_flags_beat_environment_beats_file_beats_defaults(tmp_path: Path) -> None:
    loaded = given(
        tmp_path,
        "server.port=1",
        environ={"RUNNER_SERVER__PORT": "2", "RUNNER_SERVER__DRAIN_S": "2"},
        runner="[server]\nport = 3\ndrain_s = 3\nbody_timeout_s = 3",
    )
    server = loaded.settings.server
    assert (server.port, server.drain_s, server.body_timeout_s) == (1, 2, 3)
    assert server.header_timeout_s == 5


def test_each_value_knows_its_source(tmp_path: Path) -> None:
    loaded = given(
        tmp_path,
        "server.port=1",
        environ={"RUNNER_STRATEGY": "lock"},
        runner="[store]\nurl = 'memory:'",
    )
    assert loaded.source(("server", "port")) == "--server.port"
    assert loaded.source(("strategy", "name")) == "RUNNER_STRATEGY"
    assert loaded.source(("store", "url")) == "runner.toml"
    assert loaded.source(("server", "host")) == "default"


def test_a_value_given_as_a_table_knows_its_source_too(tmp_path: Path) -> None:
    loaded = given(tmp_path, runner="[server.tokens]\nann = 't1'")
    assert loaded.source(("server", "tokens")) == "runner.toml"
    loaded = given(tmp_path, environ={"RUNNER_SERVER__TOKENS__BOB": "t2"})
    assert loaded.source(("server", "tokens")) == "RUNNER_SERVER__TOKENS__BOB"


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("RUNNER_STRATEGY", ("strategy", "name")),
        ("RUNNER_AGENT", ("agent", "target")),
        ("RUNNER_STORE", ("store", "url")),
    ],
)
def test_the_three_choices_have_a_short_variable(
    tmp_path: Path, name: str, path: tuple[str, str]
) -> None:
    settings = given(tmp_path, environ={name: "x:y"}).settings
    assert getattr(getattr(settings, path[0]), path[1]) == "x:y"


def test_pyproject_serves_where_there_is_no_runner_toml(tmp_path: Path) -> None:
    loaded = given(tmp_path, pyproject="[tool.runner.server]\nport = 3")
    assert loaded.settings.server.port == 3
    assert loaded.source(("server", "port")) == "pyproject.toml [tool.runner]"


def test_runner_toml_wins_whole_over_pyproject_and_that_is_said(tmp_path: Path) -> None:
    loaded = given(
        tmp_path,
        runner="[server]\nport = 3",
        pyproject="[tool.runner.server]\nport = 4\ndrain_s = 4",
    )
    assert (loaded.settings.server.port, loaded.settings.server.drain_s) == (3, 30)
    assert loaded.notes == ["runner.toml is used; [tool.runner] in pyproject.toml is not"]


def test_a_file_that_is_named_is_used_in_place_of_those_in_the_folder(tmp_path: Path) -> None:
    loaded = given(tmp_path, config="prod.toml", runner="[server]\nport = 3", prod="[store]")
    assert loaded.settings == Settings()
    assert loaded.notes == []


def test_a_flag_or_a_variable_names_the_file_and_the_flag_wins(tmp_path: Path) -> None:
    files = {"one": "[server]\nport = 1", "two": "[server]\nport = 2"}
    environ = {"RUNNER_CONFIG": str(tmp_path / "one.toml")}
    loaded = given(tmp_path, environ=environ, **files)
    assert loaded.settings.server.port == 1
    assert loaded.source(("server", "port")) == str(tmp_path / "one.toml")
    loaded = given(tmp_path, environ=environ, config="two.toml")
    assert loaded.settings.server.port == 2
    assert loaded.source(("server", "port")) == "two.toml"


def test_of_a_pyproject_that_is_named_the_table_of_the_runner_is_read(tmp_path: Path) -> None:
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "pyproject.toml").write_text(
        "[project]\nname = 'x'\n[tool.runner.server]\nport = 4"
    )
    loaded = given(tmp_path, config="conf/pyproject.toml", runner="[server]\nport = 3")
    assert loaded.settings.server.port == 4
    assert loaded.source(("server", "port")) == "conf/pyproject.toml [tool.runner]"


@pytest.mark.parametrize("name", ["absent.toml", "", "."])
def test_a_file_that_is_named_must_be_there(tmp_path: Path, name: str) -> None:
    said = f"there is no file {name!r} (from --config)"
    assert problems(tmp_path, config=name, runner="[server]\nport = 3") == [said]


def test_a_file_that_a_variable_names_must_be_there_unless_it_is_empty(tmp_path: Path) -> None:
    (found,) = problems(tmp_path, environ={"RUNNER_CONFIG": "absent.toml"})
    assert found == "there is no file 'absent.toml' (from RUNNER_CONFIG)"
    assert given(tmp_path, environ={"RUNNER_CONFIG": ""}).settings == Settings()


def test_a_wrong_value_in_a_file_that_is_named_is_told_with_its_name(tmp_path: Path) -> None:
    (found,) = problems(tmp_path, config="conf.toml", conf="[server]\nport = 'x'")
    assert found.startswith("server.port (from conf.toml) is 'x'")


@pytest.mark.parametrize("text", ["http://a,https://b:3", '["http://a", "https://b:3"]'])
def test_a_list_in_the_environment_is_json_or_has_commas(tmp_path: Path, text: str) -> None:
    settings = given(tmp_path, environ={"RUNNER_SERVER__CORS_ORIGINS": text}).settings
    assert settings.server.cors_origins == ("http://a", "https://b:3")


def test_none_in_words_lifts_a_limit(tmp_path: Path) -> None:
    loaded = given(
        tmp_path,
        environ={"RUNNER_AGENT__TURN_TIMEOUT_S": "none"},
        runner='[strategy]\nmax_wait_s = "none"',
    )
    assert loaded.settings.agent.turn_timeout_s is None
    assert loaded.settings.strategy.max_wait_s is None


@pytest.mark.parametrize("text", ["1", "true", "True", "yes", "on"])
def test_a_switch_is_understood_in_the_usual_words(tmp_path: Path, text: str) -> None:
    assert given(tmp_path, environ={"RUNNER_SERVER__INSECURE": text}).settings.server.insecure


def test_options_of_all_sources_are_put_together(tmp_path: Path) -> None:
    loaded = given(
        tmp_path,
        "agent.options.deep.b=[1]",
        environ={"RUNNER_AGENT__OPTIONS__THINKING_S": "2", "RUNNER_AGENT__OPTIONS__NAME": "Ann"},
        runner="[agent.options]\nthinking_s = 9\ndeep = {a = 1, b = 2}",
    )
    assert loaded.settings.agent.options == {
        "thinking_s": 2,
        "name": "Ann",
        "deep": {"a": 1, "b": [1]},
    }


def test_options_written_for_another_target_are_left_out_and_that_is_said(tmp_path: Path) -> None:
    loaded = given(
        tmp_path, "agent.target=eliza", runner="[agent]\ntarget = 'my:agent'\noptions.model = 'm'"
    )
    assert loaded.settings.agent.options == {}
    assert loaded.notes == ["agent.options for 'my:agent' are not used for 'eliza'"]


def test_options_named_apart_from_a_target_are_for_any(tmp_path: Path) -> None:
    environ = {"RUNNER_AGENT__OPTIONS__MODEL": "m"}
    assert given(tmp_path, "agent.target=my:agent", environ=environ).settings.agent.options == {
        "model": "m"
    }


def test_variables_that_others_set_are_let_be(tmp_path: Path) -> None:
    environ = {"RUNNER_OS": "Linux", "RUNNER_TEMP": "/x", "RUNNER_TOKEN": "t", "PATH": "/bin"}
    assert given(tmp_path, environ=environ).settings == Settings()


SERVICE = {
    "RUNNER_PORT": "tcp://10.0.0.1:8080",
    "RUNNER_PORT_8080_TCP": "tcp://10.0.0.1:8080",
    "RUNNER_PORT_8080_TCP_ADDR": "10.0.0.1",
    "RUNNER_PORT_8080_TCP_PORT": "8080",
    "RUNNER_PORT_8080_TCP_PROTO": "tcp",
    "RUNNER_SERVICE_HOST": "10.0.0.1",
    "RUNNER_SERVICE_PORT": "8080",
    "RUNNER_SERVICE_PORT_HTTP": "8080",
}
"""What Kubernetes puts into each pod for a Service called `runner`."""


@pytest.mark.parametrize("prefix", ["RUNNER", "RUNNER_API", "RUNNER_STRATEGY"])
def test_variables_of_a_kubernetes_service_are_told_and_passed_over(
    tmp_path: Path, prefix: str
) -> None:
    environ = {name.replace("RUNNER", prefix): value for name, value in SERVICE.items()}
    loaded = given(tmp_path, environ={**environ, "RUNNER_SERVER__PORT": "9000"})
    assert loaded.settings.server.port == 9000
    (note,) = loaded.notes
    assert note.startswith(f"{prefix}_PORT and 7 more from a Kubernetes Service: not settings")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RUNNER_PORT", "8080"),
        ("RUNNER_SERVER__PORT", "tcp://10.0.0.1:8080"),
        ("RUNNER_STRATEGY__SERVICE_PORT", "1"),
        ("RUNNER_PORTS", "tcp://10.0.0.1:8080"),
    ],
)
def test_what_kubernetes_does_not_make_is_a_setting_or_a_mistake(
    tmp_path: Path, name: str, value: str
) -> None:
    (found,) = problems(tmp_path, environ={name: value})
    assert name in found


@pytest.mark.parametrize(
    ("environ", "files", "said"),
    [
        ({"RUNNER_SERVER__PROT": "1"}, "", "RUNNER_SERVER__PROT is no setting; did you mean "
         "RUNNER_SERVER__PORT?"),
        ({"RUNNER_PORT": "1"}, "", "RUNNER_PORT is no setting; did you mean RUNNER_SERVER__PORT?"),
        ({"RUNNER_STRATEGY_NAME": "x"}, "", "RUNNER_STRATEGY_NAME is no setting; did you mean "
         "RUNNER_STRATEGY__NAME?"),
        ({}, "[servr]\nport = 1", "servr (from runner.toml) is no setting; did you mean server?"),
        ({}, "[server]\nthreads = 1", "server.threads (from runner.toml) is no setting; "
         "did you mean agent.threads?"),
        ({}, "[server]\nqqqq = 1", "server.qqqq (from runner.toml) is no setting; "
         "`runner config show` lists all there are"),
    ],
)  # fmt: skip
def test_an_unknown_key_from_any_source_is_an_error_with_a_hint(
    tmp_path: Path, environ: dict[str, str], files: str, said: str
) -> None:
    assert problems(tmp_path, environ=environ, runner=files) == [said]


def test_all_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    found = problems(
        tmp_path,
        "server.port=abc",
        environ={"RUNNER_OBSERVABILITY__LOG": "xml"},
        runner='[strategy]\nmax_running = "8"',
        pyproject="broken",
    )
    assert found == [
        "strategy.max_running (from runner.toml) is '8' and should be a valid integer",
        "server.port (from --server.port) is 'abc' and should be a valid integer",
        "observability.log (from RUNNER_OBSERVABILITY__LOG) is 'xml' and should be "
        "'console' or 'json'",
    ]


@pytest.mark.parametrize(
    ("flag", "allowed"),
    [
        ("server.port=65536", "less than or equal to 65535"),
        ("server.port=-1", "greater than or equal to 0"),
        ("server.port=1.5", "valid integer"),
        ("server.drain_s=-1", "greater than or equal to 0"),
        ("server.drain_s=NaN", "finite number"),
        ("server.body_timeout_s=Infinity", "finite number"),
        ("agent.turn_timeout_s=0", "greater than 0"),
        ("strategy.max_wait_s=soon", "valid number"),
        ("strategy.max_running=0", "greater than or equal to 1"),
        ("strategy.on_disconnect=ignore", "'drop-waiting', 'continue' or 'cancel'"),
        ("server.insecure=maybe", "valid boolean"),
        ("server.cors_origins=http://a/", 'scheme://host, scheme://host:port or "*"'),
        ("agent.id=", "is '' and should have at least 1 character"),
        ("agent.id=a\udc80", "unicode"),
        ("server=3", "a table"),
        ("server.tokens=a b", "one or more of A-Z"),
        ("server.tokens=[1", "a list"),
    ],
)
def test_a_bad_value_is_refused_with_what_is_allowed(
    tmp_path: Path, flag: str, allowed: str
) -> None:
    (found,) = problems(tmp_path, flag)
    assert allowed in found
    assert f"(from --{flag.partition('=')[0]})" in found


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"a = '\xff'", "it is not UTF-8 (at byte 5)"),
        (b"a = " + b"[" * 5000, "it is nested too deeply"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_in_our_words(
    tmp_path: Path, content: bytes, said: str
) -> None:
    (tmp_path / "runner.toml").write_bytes(content)
    assert problems(tmp_path) == [f"runner.toml cannot be read: {said}"]


def test_text_is_no_number_in_a_file(tmp_path: Path) -> None:
    assert len(problems(tmp_path, runner='[server]\nport = "1"\ninsecure = 1')) == 2


def test_a_token_is_never_shown(tmp_path: Path) -> None:
    environ = {"RUNNER_SERVER__TOKENS": '["good-one", "bad one", 99887766]'}
    found = problems(tmp_path, environ=environ)
    assert len(found) == 2
    for hidden in ("good-one", "bad one", "99887766"):
        assert hidden not in "".join(found)
    loaded = given(tmp_path, environ={"RUNNER_SERVER__TOKENS": "good-one"})
    assert "good-one" not in repr(loaded.settings)


@pytest.mark.parametrize("content", [b"[server", b"a = '\xff'", b"a = 1\na = 2"])
def test_a_file_that_is_no_toml_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "runner.toml").write_bytes(content)
    (found,) = problems(tmp_path)
    assert found.startswith("runner.toml cannot be read: ")


@pytest.mark.parametrize("name", ["chat.example", "*.team.example", "*", "10.0.0.1"])
def test_a_host_that_is_allowed_is_a_name_or_a_star_and_a_name(tmp_path: Path, name: str) -> None:
    settings = given(tmp_path, f"server.allowed_hosts={name}").settings
    assert settings.server.allowed_hosts == (name,)


@pytest.mark.parametrize("name", ["http://a", "a:80", "a..b", "*a", "a/b", "x" * 64])
def test_a_host_that_none_can_have_is_refused(tmp_path: Path, name: str) -> None:
    (found,) = problems(tmp_path, f"server.allowed_hosts={name}")
    assert "host name without a port" in found


def test_all_bodies_have_room_for_one(tmp_path: Path) -> None:
    (found,) = problems(tmp_path, "server.max_body_bytes=100000000")
    assert found.endswith("is 67108864 and should be at least max_body_bytes")
    given(tmp_path, "server.max_body_bytes=100000000", "server.max_bodies_bytes=200000000")


def test_other_machines_are_not_let_in_without_a_token(tmp_path: Path) -> None:
    (found,) = problems(tmp_path, "server.host=0.0.0.0")
    assert found.startswith("server.host (from --server.host) is '0.0.0.0', which lets other")
    assert "--insecure" in found


def test_other_machines_are_let_in_with_a_token_or_where_it_is_said(tmp_path: Path) -> None:
    given(tmp_path, "server.host=0.0.0.0", "server.tokens=abc")
    given(tmp_path, "server.host=0.0.0.0", "server.insecure=true")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost", "LOCALHOST"])
def test_loopback_needs_no_token(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "example.org", "localhost.evil"])
def test_everything_else_is_not_loopback(host: str) -> None:
    assert not is_loopback(host)


def test_every_setting_says_what_it_is_for() -> None:
    for path in FIELDS:
        if len(path) == 2:
            assert 10 < len(description(path)) < 70

"""What a person meets first: their own mistakes, other people's variables, two names."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.support.client import PATIENCE_S
from tests.support.server import ROOT, Server

Done = subprocess.CompletedProcess[str]
Run = Callable[..., Done]

MAIN = "from runner.__main__ import main\nmain()\n"

BROKEN = {
    "missing": ("import no_such_package", "ModuleNotFoundError: No module named 'no_such_package'"),
    "syntax": ("async def agent(message:", "SyntaxError: "),
    "environ": ("import os\nos.environ['NO_KEY']", "KeyError: 'NO_KEY' (no such environment"),
    "raises": ("raise RuntimeError('no\\n  model')", "RuntimeError: no; model"),
    "leaves": ("import sys\nsys.exit(0)", "SystemExit: 0"),
    "asks": ("input()", "EOFError: "),
}
"""Modules that cannot be imported, and what is raised in their last line."""


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run the command in a process of its own, as it is named by `name`."""

    def run_one(*words: str, name: str = "runner", **environ: str) -> Done:
        script = tmp_path / "bin" / name
        script.parent.mkdir(exist_ok=True)
        script.write_text(MAIN)
        return subprocess.run(
            [sys.executable, str(script), *words],
            cwd=tmp_path,
            env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", **environ},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )

    return run_one


@pytest.mark.parametrize("fault", BROKEN)
def test_a_module_that_cannot_be_imported_is_told_in_a_line_and_the_users_own_frames(
    run: Run, tmp_path: Path, fault: str
) -> None:
    code, raised = BROKEN[fault]
    (tmp_path / "inner.py").write_text(code)
    (tmp_path / "mine.py").write_text("import inner\nasync def agent(message): return message\n")
    done = run("config", "check", "--set", "agent.target=mine:agent")
    assert (done.returncode, done.stdout) == (1, "")
    line = code.count("\n") + 1
    head, *below = done.stderr.splitlines()
    assert head.startswith(f"Error: inner.py:{line}: {raised}")
    files = [text.split('"')[1] for text in below if text.startswith("  File ")]
    assert [Path(file).name for file in files] == ["mine.py", "inner.py"]
    assert "Traceback" not in done.stderr


def test_a_file_that_is_no_text_is_told_by_its_name(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("x = 1\0")
    done = run("config", "check", "--set", "agent.target=mine:agent")
    assert done.returncode == 1
    assert done.stderr.startswith("Error: mine.py:1: ")
    assert len(done.stderr.splitlines()) == 2


@pytest.mark.parametrize(
    "words",
    [
        ["serve", "broken:agent"],
        ["serve", "--strategy", "broken:Strategy"],
        ["config", "check", "--set", "strategy.name=broken:Strategy"],
        ["probe", "broken:agent", "--yes"],
        ["serve", "works:agent", "--strategy", "works:Strategy"],
        ["serve", "works:make"],
        ["config", "check", "--set", "agent.target=works:make"],
        ["config", "check", "--set", "agent.target=works:make_async"],
    ],
)
def test_each_command_that_needs_the_users_code_tells_its_errors_so(
    run: Run, tmp_path: Path, words: list[str]
) -> None:
    (tmp_path / "broken.py").write_text("1 / 0")
    (tmp_path / "works.py").write_text(FAILS_LATER)
    done = run(*words)
    assert done.returncode == 1
    assert "py:" in done.stderr.splitlines()[0]
    assert ": ZeroDivisionError: " in done.stderr.splitlines()[0]
    assert len(done.stderr.splitlines()) <= 6
    everything = run(*words, "--traceback").stderr
    assert "Traceback" in everything
    assert "importlib" in everything or "agents" in everything or "registry" in everything


def test_a_check_says_to_programs_what_is_wrong_with_a_module(run: Run, tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("1 / 0")
    done = run("config", "check", "--json", "--set", "agent.target=broken:agent")
    assert done.returncode == 1
    assert json.loads(done.stdout)["problem"].startswith("broken.py:1: ZeroDivisionError: ")


@pytest.mark.parametrize("command", [["serve"], ["config", "check"]])
def test_a_class_that_cannot_answer_is_not_served(
    run: Run, tmp_path: Path, command: list[str]
) -> None:
    (tmp_path / "mine.py").write_text("class Mute:\n    def listen(self, message): ...\n")
    done = run(*command, "--set", "agent.target=mine:Mute")
    assert (done.returncode, done.stdout) == (2, "")
    assert "agent 'mine:Mute': The factory made Mute, which cannot be asked" in done.stderr


def test_the_agent_that_a_factory_made_at_the_start_serves_the_first_conversation(
    folder: Path,
) -> None:
    (folder / "counted.py").write_text(COUNTED)
    with Server(folder, target="counted:make") as server:
        replies = [server.chat("?", name).json["response"] for name in ("a", "b", "a")]
    assert replies == ["1", "2", "1"]


def test_a_factory_that_takes_its_time_is_told_and_ctrl_c_ends_it(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text("import time\ndef make(): time.sleep(600)\n")
    words = [sys.executable, "-c", MAIN, "serve", "slow:make"]
    environ = {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(words, cwd=tmp_path, env=environ, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        assert b"agent 'slow:make': the first one is being made" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_S) == 0  # Nothing was started.
        assert b"Traceback" not in process.stderr.read()


def test_a_kubernetes_service_called_runner_does_not_stop_the_pod(
    http: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in OF_A_SERVICE.items():
        monkeypatch.setenv(name, value)
    with Server(folder) as server:
        assert server.chat("hello").status == 200
        server.stop()
        assert "Note: RUNNER_PORT and 3 more from a Kubernetes Service" in server.log


def test_a_limit_that_the_strategy_does_not_have_is_told_at_the_start(run: Run) -> None:
    words = ["--set", "strategy.name=reject", "--set", "strategy.max_running=2"]
    told = "strategy.max_running (from --set strategy.max_running) has no effect"
    assert told in run("config", "check", *words).stderr
    assert told in run("config", "show", *words).stdout
    assert "has no effect" not in run("config", "check", *words[2:]).stderr


@pytest.mark.parametrize(
    ("target", "meant"),
    [
        ("afn:agnet", "did you mean 'agent'?"),
        ("afn.py:agent", "did you mean 'afn:agent'?"),
        ("afn.agent", "Did you mean 'afn:agent'?"),
        ("afn/agent:x", "did you mean 'afn.agent:x'?"),
    ],
)
def test_a_target_that_is_spelt_wrongly_gets_a_did_you_mean(
    run: Run, tmp_path: Path, target: str, meant: str
) -> None:
    (tmp_path / "afn.py").write_text("async def agent(message): return message\n")
    done = run("serve", target)
    assert (done.returncode, done.stdout) == (2, "")
    assert meant in done.stderr


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("agent.options.thinking_s=soon", "thinking_s must be a number of seconds, 0 or more"),
        ("strategy.options.agein_s=1", "no option 'agein_s'; did you mean 'ageing_s'?"),
        ("agent.options.thinkin_s=1", "no option 'thinkin_s'. It has: thinking_s"),
    ],
)
def test_a_wrong_option_is_told_in_our_words(run: Run, setting: str, said: str) -> None:
    done = run("config", "check", "--set", setting)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr


@pytest.mark.parametrize("named", [{"RUNNER_CONFIG": "conf/prod.toml"}, {}])
def test_another_settings_file_can_be_named(
    run: Run, tmp_path: Path, named: Mapping[str, str]
) -> None:
    (tmp_path / "mine.py").write_text("async def agent(message): return message\n")
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "prod.toml").write_text("[agent]\ntarget = 'mine:agent'\n")
    (tmp_path / "runner.toml").write_text("this is not read")
    flag = () if named else ("--config", "conf/prod.toml")
    assert '"mine:agent"' in run("config", "show", *flag, **named).stdout
    assert "mine:agent is taken for" in run("config", "check", *flag, **named).stdout
    (tmp_path / "conf" / "prod.toml").unlink()
    done = run("config", "check", *flag, **named)
    assert (done.returncode, done.stdout) == (2, "")
    assert "there is no file 'conf/prod.toml' (from " in done.stderr


@pytest.mark.parametrize("name", ["runner", "turnline"])
def test_the_command_goes_by_either_of_its_names(run: Run, name: str) -> None:
    assert run("serve", "--help", name=name).stdout.startswith(f"Usage: {name} serve")
    assert run("--version", name=name).stdout.startswith(f"{name}, version")
    script = run("completion", "bash", name=name).stdout
    assert f"_{name.upper()}_COMPLETE" in script
    asked = {"COMP_WORDS": f"{name} stra", "COMP_CWORD": "1"}
    completed = run(name=name, **{f"_{name.upper()}_COMPLETE": "bash_complete"}, **asked)
    assert "strategies" in completed.stdout


FAILS_LATER = """
class Strategy:
    def __init__(self, answer, limits): 1 / 0
async def agent(message): return message
def make(): 1 / 0
async def make_async(): 1 / 0
"""

COUNTED = """
made = []
def make():
    made.append(1)
    number = str(len(made))
    return lambda message: number
"""

OF_A_SERVICE = {
    "RUNNER_PORT": "tcp://10.0.0.1:8080",
    "RUNNER_PORT_8080_TCP_ADDR": "10.0.0.1",
    "RUNNER_SERVICE_HOST": "10.0.0.1",
    "RUNNER_SERVICE_PORT_HTTP": "8080",
}
"""What Kubernetes puts into each pod for a Service called `runner`; some of it."""

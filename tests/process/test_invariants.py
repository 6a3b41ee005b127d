"""Invariants that hold for every strategy, seen from outside: real clients, a real process."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from loadtests.measures.chains import check_chain, check_replies
from strategies.registry import BUILT_IN
from tests.support.client import Answer, chat, receive, reset, send
from tests.support.server import Knobs, Server

CONVERSATIONS = ("a", "b", "c")


class Client(threading.Thread):
    """Sends messages to one conversation, one after the other, and notes what it was told."""

    def __init__(self, server: Server, conversation: str, seed: int, messages: int = 25) -> None:
        super().__init__()
        self.server = server
        self.conversation = conversation
        self.chance = random.Random(seed)
        self.messages = messages
        self.replies: list[tuple[str, str]] = []
        self.turns: list[int] = []
        self.problems: list[Answer] = []

    def run(self) -> None:
        for number in range(self.messages):
            message = f"{self.name} {number}"
            if self.chance.random() < 0.25:
                self._leave(message)
            else:
                self._ask(message)

    def _ask(self, message: str) -> None:
        headers = {"Turn_Deadline_Ms": "15"} if self.chance.random() < 0.2 else {}
        answer = self.server.chat(message, self.conversation, **headers)
        if answer.status == 200:
            self.replies.append((message, answer.json["response"]))
            self.turns.append(answer.json["turn"])
        else:
            self.problems.append(answer)

    def _leave(self, message: str) -> None:
        with send(self.server.port, chat(message, self.conversation)) as connection:
            threading.Event().wait(self.chance.choice((0, 0.001, 0.02)))
            with suppress(OSError):
                reset(connection)


Storm = tuple[Server, list[Client]]


@pytest.fixture(scope="module", params=BUILT_IN)
def storm(
    request: pytest.FixtureRequest, http: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Storm]:
    """Nine clients that ask, leave and set deadlines, three to a conversation; when all is over."""
    options: Knobs = {"agent__options": {"thinking_s": 0.01}, "strategy__name": request.param}
    with Server(tmp_path_factory.mktemp("storm"), target="chain", **options) as server:
        clients = [Client(server, CONVERSATIONS[n % 3], seed=n) for n in range(9)]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        server.until_quiet()
        yield server, clients


def asked(server: Server, conversation: str) -> list[str]:
    """The messages in the history, those that were merged into one turn apart."""
    joined = [said["content"] for said in server.history(conversation)[::2]]
    return [message for messages in joined for message in messages.split("\n\n")]


def test_histories_are_unbroken_chains_whatever_clients_do(storm: Storm) -> None:
    """I-1, I-3: one turn at a time, each kept wholly and once."""
    server, _ = storm
    for conversation in CONVERSATIONS:
        assert check_chain(server.history(conversation)) == []
        messages = asked(server, conversation)
        assert len(messages) == len(set(messages))


def test_every_reply_is_in_the_history_at_its_number(storm: Storm) -> None:
    """I-2."""
    server, clients = storm
    for conversation in CONVERSATIONS:
        history = [said["content"] for said in server.history(conversation)]
        for client in clients:
            if client.conversation != conversation:
                continue
            for turn, (message, reply) in zip(client.turns, client.replies, strict=True):
                assert message in history[2 * turn - 2].split("\n\n")
                assert history[2 * turn - 1] == reply
                assert json.loads(reply)["turn"] == turn
        pairs = list(zip(history[::2], history[1::2], strict=True))
        assert check_replies(pairs) == []


def test_a_reply_received_before_the_next_message_was_sent_has_the_lower_number(
    storm: Storm,
) -> None:
    """I-6."""
    server, clients = storm
    fewest = 1 if server.health()["strategy"] == "interrupt" else 10
    assert sum(len(client.turns) for client in clients) > fewest
    for client in clients:
        assert client.turns == sorted(client.turns)


def test_every_answer_that_is_not_a_reply_says_what_became_of_the_turn_and_it_is_true(
    storm: Storm,
) -> None:
    """I-4, I-5."""
    server, clients = storm
    kept = {message for name in CONVERSATIONS for message in asked(server, name)}
    outcomes = {"not_started", "rolled_back"}
    if server.health()["strategy"] == "merge":
        outcomes.add("unknown")  # Its message was with those of others, and they went on.
    for client in clients:
        told = {reply[0] for reply in client.replies}
        for answer in client.problems:
            assert answer.json["outcome"] in outcomes
            assert answer.headers["turn-outcome"] == answer.json["outcome"]
        mine = {message for message in kept if message.startswith(f"{client.name} ")}
        assert told <= mine


def test_every_accepted_turn_ends_in_one_outcome_and_the_counters_say_so(storm: Storm) -> None:
    """I-8, I-9."""
    server, _ = storm
    turns = server.health()["turns"]
    ended = {name: n for name, n in turns.items() if name not in {"accepted", "refused_at_once"}}
    assert sum(ended.values()) == turns["accepted"]
    kept = sum(len(asked(server, name)) for name in CONVERSATIONS)
    # Those that left a merged turn are in the history with the others.
    left = kept - ended["answered"] if server.health()["strategy"] == "merge" else 0
    assert ended["answered"] + max(left, 0) == kept
    server.stop()  # The last of the tests that share it.
    logged = [line["turn_id"] for line in server.logged if line.get("event") == "turn ended"]
    assert len(logged) == len(set(logged)) == turns["accepted"] + turns["refused_at_once"]


def test_a_refused_turn_never_reaches_the_agent_or_the_history(folder: Path) -> None:
    """I-4."""
    limits: Knobs = {"strategy__max_running": 1, "strategy__max_waiting": 1}
    with Server(folder, **limits) as server, ExitStack() as stack:
        running = stack.enter_context(send(server.port, chat("until all are refused")))
        server.until_called("until all are refused")
        stack.enter_context(send(server.port, chat("waits")))
        server.until_depth(1)
        refusals = [
            server.chat("refused 1"),
            server.chat("refused 2", "other"),
            server.chat("refused 3", Turn_Deadline_Ms="0"),
            server.chat("refused 4", "not an id"),
        ]
        assert [answer.json["outcome"] for answer in refusals] == ["not_started"] * 4
        server.let_on("all are refused")
        assert receive(running).status == 200
        server.until_quiet()
        assert not any("began refused" in call for call in server.calls())
        assert not any("refused " in said["content"] for said in server.history())


@pytest.mark.parametrize("strategy", ["queue", "lock"])
def test_a_flood_and_faults_in_one_conversation_change_nothing_in_another(
    folder: Path, strategy: str
) -> None:
    """I-7."""
    with Server(folder, strategy__name=strategy) as server, ExitStack() as stack:
        for number in range(60):
            message = ("sleep 0.05", "raise SystemExit", "hang")[number % 3]
            stack.enter_context(send(server.port, chat(message, "flood")))
        for turn in (1, 2, 3):
            answer = server.chat(f"quiet {turn}", "quiet")
            assert (answer.status, answer.json["turn"]) == (200, turn)
            assert json.loads(answer.json["response"])["before"] == 2 * (turn - 1)

"""What is seen in a conversation's replies and history, and what is said of a memory."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from loadtests.probe.client import SeenTurn
from loadtests.probe.judge import Trial, judge
from loadtests.probe.memory import Memory, Recall, Replies, decide
from loadtests.probe.sentences import Sentences, named
from runner.agents.base import Message

ASK = "What is my name?"


def history(*turns: tuple[str, str]) -> list[Message]:
    said: list[Message] = []
    for message, reply in turns:
        said += [{"role": "user", "content": message}, {"role": "assistant", "content": reply}]
    return said


def trial(
    *turns: tuple[str, str],
    words: Sequence[str] = ("Bako",),
    foreign: Sequence[str] = (),
    seen: Sequence[SeenTurn] = (),
    together: Sequence[int] = (),
    restarted: bool = False,
) -> Trial:
    kept = history(*turns)
    given = tuple(words), (), tuple(foreign), tuple(seen), kept, frozenset(together)
    return Trial(ASK, *given, restarted=restarted)


def kinds(tried: Trial) -> list[str]:
    return [finding.kind for finding in judge(tried)]


TOLD = ("My name is Bako.", "Hello, Bako.")
KNOWS = (ASK, "You are bako, of course.")
IGNORANT = (ASK, "You have not told me.")


def test_a_word_named_after_it_was_told_and_not_before_is_right() -> None:
    assert kinds(trial(IGNORANT, TOLD, KNOWS)) == []


def test_a_word_that_is_never_named_again_is_a_lost_turn() -> None:
    assert kinds(trial(TOLD, IGNORANT)) == ["lost turn"]


def test_after_a_restart_that_is_called_forgetting() -> None:
    assert kinds(trial(TOLD, IGNORANT, restarted=True)) == ["forgets at a restart"]


def test_a_question_that_overlapped_and_did_not_know_what_a_later_one_knows_is_stale() -> None:
    assert kinds(trial(TOLD, IGNORANT, KNOWS, together=[1, 2])) == ["stale context"]


def test_a_quiet_question_that_missed_the_word_is_no_fault_if_the_next_one_names_it() -> None:
    assert kinds(trial(TOLD, IGNORANT, KNOWS)) == []


def test_a_word_of_a_turn_that_is_not_in_the_history_was_rolled_back() -> None:
    tried = trial(TOLD, (ASK, "You are Veludo."), words=["Bako", "Veludo"])

    assert kinds(tried) == ["keeps what was rolled back"]


def test_a_word_told_in_a_later_turn_was_read_before_its_turn_had_ended() -> None:
    assert kinds(trial(KNOWS, TOLD, KNOWS)) == ["unanswered turns sent"]


def test_a_word_of_another_conversation_is_worse_than_what_else_is_wrong() -> None:
    tried = trial(TOLD, IGNORANT, (ASK, "Are you Tomila?"), IGNORANT, foreign=["Tomila"])

    assert kinds(tried) == ["mixes conversations", "lost turn"]


def test_only_the_word_that_was_told_last_must_be_named() -> None:
    second = ("My name is Veludo.", "Hello again.")
    right = trial(TOLD, second, (ASK, "Veludo."), words=["Bako", "Veludo"])
    wrong = trial(TOLD, second, KNOWS, words=["Bako", "Veludo"])

    assert kinds(right) == []
    assert kinds(wrong) == ["lost turn"]


def test_a_question_in_one_message_with_the_word_asks_for_nothing_that_was_told_before() -> None:
    assert kinds(trial(TOLD, (f"My name is Bako.\n\n{ASK}", "Hm."))) == []


def test_a_reply_that_a_client_has_must_be_where_it_was_said_to_be() -> None:
    at_1 = SeenTurn("My name is Bako.", "Hello, Bako.", number=1)
    at_3 = SeenTurn(ASK, "You are Bako.", number=3)

    assert kinds(trial(TOLD, KNOWS, seen=[at_1])) == []
    assert kinds(trial(TOLD, KNOWS, seen=[at_1, at_3])) == ["reply not in the history"]


@pytest.mark.parametrize(
    ("cause", "fault"),
    [("turn-timeout", ["hangs"]), ("agent-failed", ["fails"]), ("conversation-busy", [])],
)
def test_how_a_turn_ended_may_be_a_fault(cause: str, fault: list[str]) -> None:
    assert kinds(trial(TOLD, KNOWS, seen=[SeenTurn(ASK, "", cause=cause)])) == fault


# Memory.

REFUSES = "I can only help with SQL."
UNTOLD = "You have not told me."


def memory(
    told: Sequence[str], untold: Sequence[str] = (UNTOLD, UNTOLD), at_once: str = "You are Bako."
) -> Memory:
    recalls = [Recall("Bako", tuple(replies.split("|"))) for replies in told]
    return decide(Replies(ASK, recalls, untold, Recall("Bako", (at_once,))))


def test_a_word_named_each_time_is_remembered_and_sure_only_if_named_at_the_first_question() -> (
    None
):
    assert memory(["You are Bako.", "Bako!"]) == memory(["You are Bako.", "BAKO"])
    assert memory(["You are Bako.", "Bako!"]).kind == "remembers"
    assert memory(["You are Bako.", "Bako!"]).is_sure
    assert not memory(["You are Bako.", "What?|Bako"]).is_sure


def test_a_word_named_only_now_and_then_tells_nothing() -> None:
    assert memory(["You are Bako.", UNTOLD]).kind == "cannot tell"


def test_an_agent_that_names_the_word_only_in_the_same_message_remembers_nothing() -> None:
    assert memory([UNTOLD, UNTOLD]).kind == "remembers nothing"
    assert memory(["No.", "Never."], untold=["What?", "Who?"]).kind == "remembers nothing"


@pytest.mark.parametrize(
    ("told", "untold", "at_once"),
    [
        ([REFUSES, REFUSES], [REFUSES, REFUSES], REFUSES),
        (["2: " + ASK] * 2, ["1: " + ASK] * 2, "1: My name is Bako. " + ASK),
        (["Told."] * 2, ["Not told."] * 2, "You are Bako."),
        (["5: " + ASK, "9: " + ASK], ["1: " + ASK, "2: " + ASK], "7: My name is Bako. " + ASK),
    ],
    ids=["does not answer", "counts", "depends on the past", "counts over all"],
)
def test_an_agent_of_which_that_may_be_untrue_is_not_said_to_remember_nothing(
    told: list[str], untold: list[str], at_once: str
) -> None:
    assert memory(told, untold, at_once).kind == "cannot tell"


def test_an_echo_remembers_nothing() -> None:
    assert memory([ASK, ASK], [ASK, ASK], f"My name is Bako. {ASK}").kind == "remembers nothing"


# Words.


@pytest.mark.parametrize("text", ["It is 123456.", "123,456", "123 456!", "1: order 123'456"])
def test_a_number_is_found_however_it_is_written(text: str) -> None:
    assert named(["123456"], text) == ["123456"]


def test_made_up_words_differ() -> None:
    words = [Sentences().new_word() for _ in range(100)]

    assert len(set(words)) > 95
    assert Sentences().telling("Bako") == "My name is Bako."

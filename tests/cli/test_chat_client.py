"""`runner chat` against a server that answers what the test says."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest

from tests.support.scripted import Scripted

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def server() -> Iterator[Scripted]:
    with Scripted() as scripted:
        yield scripted


def test_each_line_of_a_pipe_is_a_message(run: Run, server: Scripted) -> None:
    server.will_say("one")
    server.will_say("zwei ü")
    status, out, err = run("chat", "--url", server.url, text="hello\n\n  \nbye")
    assert (status, out, err) == (0, "one\nzwei ü\n", "")
    assert [asked[2]["message"] for asked in server.asked] == ["hello", "bye"]


def test_the_conversation_and_the_token_are_sent(run: Run, server: Scripted) -> None:
    server.will_say("x")
    run(
        "chat", "--url", f"{server.url}/under/", "--conversation", "c1", text="m", RUNNER_TOKEN="t1"
    )
    assert server.asked == [("/under/chat", "Bearer t1", {"message": "m", "conversation_id": "c1"})]


def test_quit_leaves(run: Run, server: Scripted) -> None:
    assert run("chat", "--url", server.url, text="/quit\nhello\n") == (0, "", "")
    assert server.asked == []


def test_help_lists_the_commands_and_asks_no_agent(run: Run, server: Scripted) -> None:
    status, out, err = run("chat", "--url", server.url, text="/help\n")
    assert (status, out) == (0, "")
    assert "/quit" in err
    assert "//TEXT" in err
    assert server.asked == []


def test_an_unknown_command_is_told_and_sent_to_nobody(run: Run, server: Scripted) -> None:
    server.will_say("one")
    status, out, err = run("chat", "--url", server.url, text="/hlep me\nhello\n")
    assert (status, out) == (1, "one\n")
    assert "no command /hlep" in err
    assert "//hlep" in err
    assert [asked[2]["message"] for asked in server.asked] == ["hello"]


def test_a_message_may_begin_with_a_slash(run: Run, server: Scripted) -> None:
    server.will_say("one")
    assert run("chat", "--url", server.url, text="//etc is what?\n")[0] == 0
    assert [asked[2]["message"] for asked in server.asked] == ["/etc is what?"]


def test_input_that_is_not_utf_8_is_told_in_a_line(run: Run, server: Scripted) -> None:
    status, _, err = run("chat", "--url", server.url, text=b"\xff\xfe\n")
    assert status == 2
    assert "UTF-8" in err


def test_a_refusal_is_told_readably_and_the_next_message_is_sent(
    run: Run, server: Scripted
) -> None:
    problem = {"title": "Too many turns wait here", "detail": "Send it again later."}
    server.answers.append((503, {"Retry-After": "7"}, json.dumps(problem).encode()))
    server.will_say("fine")
    status, out, err = run("chat", "--url", server.url, text="a\nb\n")
    assert (status, out) == (1, "fine\n")
    assert err == "503 Too many turns wait here. Send it again later. Try again in 7 s.\n"


def test_an_answer_that_is_not_json_is_told_by_its_status(run: Run, server: Scripted) -> None:
    server.answers.append((502, {}, b"<html>"))
    assert run("chat", "--url", server.url, text="a") == (1, "", "502 Bad Gateway.\n")


def test_a_missing_token_is_told_with_the_remedy(run: Run, server: Scripted) -> None:
    server.answers.append((401, {}, b"{}"))
    assert "RUNNER_TOKEN" in run("chat", "--url", server.url, text="a")[2]


def test_a_reply_cannot_command_the_terminal(run: Run, server: Scripted) -> None:
    server.will_say("red \x1b[31m\a\nnext")
    assert run("chat", "--url", server.url, text="a")[1] == "red \\x1b[31m\\x07\nnext\n"


def test_where_nothing_answers_it_says_how_to_start_a_server(run: Run, server: Scripted) -> None:
    server.shutdown()
    server.server_close()
    status, _, err = run("chat", "--url", server.url, text="a")
    assert status == 1
    assert "runner serve" in err

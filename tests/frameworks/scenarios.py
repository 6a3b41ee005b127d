"""What an example of docs/examples/frameworks is asked over HTTP, in a real `runner serve`.

The test class of a framework is made of what its agents can do:

    class TestPydanticAI(GoesOn, Streams, CallsTools, Asks):
        framework = FRAMEWORK
        example = "pydantic_ai"

Each of these says in one word what a framework has that passes: a column of the table in
docs/frameworks.md. The server that the tests of a class share has been killed in a slow turn,
and started again on its store (see `conftest`). What was said before is in `earlier`.

What its model does is told by the message. `N` is how many messages of the user's it sees.

    add A B   calls the tool add(a, b), and says `N: the sum is C`
    results   says `N: ` and all that tools have given in the conversation, or `none`
    delete F  calls delete_file(path), which asks; says `N: deleted F` or `N: kept F`.
              Once fail.txt is deleted, it raises RuntimeError("secret")
    look      says `N: saw M images`
    slow      says `N: `, and much later the rest
    fail      raises RuntimeError("secret")
    hello     or whatever else: says `N: you said hello`
"""

from __future__ import annotations

from functools import partial
from importlib.metadata import version
from typing import Any, ClassVar

from runner.agents.frameworks.framework import Framework
from tests.support.client import Answer, together, until
from tests.support.events import Stream, text_of
from tests.support.server import Server

IMAGE = {
    "type": "image",
    "media_type": "image/png",
    "data": "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAA"
    "AACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg==",
}
"""One black pixel."""


Earlier = tuple[tuple[str, str], ...]
"""Conversations, and what is said in each."""


class Scenarios:
    """What a framework's file says, and how its agent is asked.

    example         the folder of its example, in which `target` is served.
    title, package  its row in the table, where they are not the framework's.
    begins          the event that tells that its model is at work.
    holds           the column of those that pass.
    earlier         what is said before the server is killed.
    """

    framework: ClassVar[Framework]
    example: ClassVar[str]
    target: ClassVar[str] = "agent:agent"
    title: ClassVar[str] = ""
    package: ClassVar[str] = ""
    begins: ClassVar[str] = "started"
    holds: ClassVar[str] = ""
    earlier: ClassVar[Earlier] = ()

    def test_the_banner_names_the_framework(self, server: Server) -> None:
        assert f"{self.framework.name} agent" in server.output

    def test_the_installed_version_is_the_one_that_is_said_to_work(self) -> None:
        assert version(self.framework.package) == self.framework.version

    def says(self, server: Server, conversation: str, message: str, reply: str) -> None:
        """Send the message, and check the reply."""
        answer = server.chat(message, conversation)
        assert (answer.status, answer.json.get("response")) == (200, reply), answer

    def slow(self, server: Server, conversation: str) -> Stream:
        """The events of a turn whose model is at work, and is not going to end soon."""
        stream = Stream(server.port, "slow", conversation)
        stream.until(self.begins)
        return stream

    def cancel_what_runs(self, server: Server, conversation: str) -> dict[str, Any]:
        running = server.request("GET", f"/conversations/{conversation}").json["running"]
        cancelled: dict[str, Any] = server.cancel(running["turn_id"]).json
        return cancelled


class GoesOn(Scenarios):
    """Its state is that of the committed turns, whatever happens."""

    holds = "state"
    earlier: ClassVar[Earlier] = (("killed", "hello"), ("killed", "hello"))

    def test_after_a_kill_in_a_slow_turn_a_conversation_goes_on_from_its_last_reply(
        self, server: Server
    ) -> None:
        """I-28"""
        assert len(server.history("killed")) == 4
        self.says(server, "killed", "again", "3: you said again")

    def test_two_conversations_in_turn_do_not_mix(self, server: Server) -> None:
        self.says(server, "one", "hello", "1: you said hello")
        self.says(server, "other", "good morning", "1: you said good morning")
        self.says(server, "one", "again", "2: you said again")
        self.says(server, "other", "once more", "2: you said once more")

    def test_five_messages_at_once_are_answered_one_after_the_other(self, server: Server) -> None:
        """I-1"""
        messages = [f"this is message {name}" for name in "abcde"]
        answers = together(partial(server.chat, message, "five") for message in messages)
        replies = {answer.json["turn"]: answer.json["response"] for answer in answers}
        asked = {said["content"] for said in server.history("five") if said["role"] == "user"}
        assert asked == set(messages)
        for place, (message, answer) in enumerate(zip(messages, answers, strict=True)):
            number = answer.json["turn"]
            assert replies[number] == f"{number}: you said {message}", place
        assert sorted(replies) == [1, 2, 3, 4, 5]

    def test_a_failed_turn_leaves_no_trace(self, server: Server) -> None:
        """I-28"""
        self.says(server, "failed", "hello", "1: you said hello")
        answer = server.chat("fail", "failed")
        assert (answer.status, answer.cause) == (502, "agent-failed")
        assert answer.headers["turn-outcome"] == "rolled_back"
        assert b"secret" not in answer.body
        self.says(server, "failed", "again", "2: you said again")

    def test_a_cancelled_turn_leaves_no_trace(self, server: Server) -> None:
        """I-28"""
        self.says(server, "cancelled", "hello", "1: you said hello")
        with self.slow(server, "cancelled") as stream:
            cancelled = self.cancel_what_runs(server, "cancelled")
            assert (cancelled["state"], cancelled["outcome"]) == ("cancelled", "rolled_back")
            assert stream.rest()[-1].data["status"] == 409
        self.says(server, "cancelled", "again", "2: you said again")
        server.until_quiet()


class StopsAtOnce(Scenarios):
    """A cancelled turn leaves nothing at work."""

    holds = "stops at once"

    def test_a_cancelled_turn_has_stopped_when_it_is_answered(self, server: Server) -> None:
        with self.slow(server, "stopped"):
            cancelled = self.cancel_what_runs(server, "stopped")
        assert (cancelled["state"], cancelled["fenced"]) == ("cancelled", False)


class SeveralAtOnce(Scenarios):
    """One object answers in several conversations at once."""

    holds = "several at once"

    def test_a_conversation_does_not_wait_for_another(self, server: Server) -> None:
        with self.slow(server, "long"):
            self.says(server, "short", "hello", "1: you said hello")
            assert self.cancel_what_runs(server, "long")["state"] == "cancelled"


class OneAtATime(Scenarios):
    """One object answers in one conversation, and the others wait."""

    def test_the_banner_says_so(self, server: Server) -> None:
        assert "one turn at a time" in " ".join(server.output.split())

    def test_a_conversation_waits_for_another(self, server: Server) -> None:
        with self.slow(server, "long"):
            short = server.ask("hello", "short")
            until(lambda: server.turn(short)["state"] == "waiting", "it waits")
            self.cancel_what_runs(server, "long")
        assert server.until_ended(short)["response"] == "1: you said hello"


class Streams(Scenarios):
    holds = "streams"
    begins = "delta"

    def test_the_pieces_are_the_reply(self, server: Server) -> None:
        with Stream(server.port, "hello", "streamed") as stream:
            events = stream.rest()
        assert text_of(events) == events[-1].data["response"] == "1: you said hello"

    def test_a_piece_is_read_before_the_model_has_ended(self, server: Server) -> None:
        with Stream(server.port, "slow", "unfinished") as stream:
            assert stream.until("delta").data["text"].startswith("1:")
            assert self.cancel_what_runs(server, "unfinished")["state"] == "cancelled"


class CallsTools(Scenarios):
    """Its streams tell of the tools that it calls."""

    holds = "tool events"

    def test_a_stream_tells_a_tool_call_and_its_result(self, server: Server) -> None:
        with Stream(server.port, "add 2 3", "told") as stream:
            events = stream.rest()
        calls = [event.data for event in events if event.kind == "tool_call"]
        results = [event.data for event in events if event.kind == "tool_result"]
        assert [(one["name"], one["arguments"]) for one in calls] == [("add", {"a": 2, "b": 3})]
        assert [(one["id"], one["name"]) for one in results] == [(calls[0]["id"], "add")]
        assert str(results[0]["content"]) == "5"
        assert events[-1].data["response"] == "1: the sum is 5"


class KeepsToolResults(Scenarios):
    """Its model sees in later turns what its tools gave in earlier ones."""

    holds = "tool results"
    earlier: ClassVar[Earlier] = (("tools-killed", "add 2 3"),)

    def test_a_tools_result_is_seen_in_the_next_turn(self, server: Server) -> None:
        self.says(server, "tools", "add 20 3", "1: the sum is 23")
        self.says(server, "tools", "results", "2: 23")

    def test_a_tools_result_is_seen_after_a_kill(self, server: Server) -> None:
        self.says(server, "tools-killed", "results", "2: 5")

    def test_a_tools_result_is_seen_after_a_turn_that_failed(self, server: Server) -> None:
        self.says(server, "tools-failed", "add 1 1", "1: the sum is 2")
        assert server.chat("fail", "tools-failed").status == 502
        self.says(server, "tools-failed", "results", "2: 2")


class Asks(Scenarios):
    """Its turn may end with a question, which the next one answers."""

    holds = "asks"
    earlier: ClassVar[Earlier] = (
        ("approved-later", "delete a.txt"),
        ("refused-later", "delete a.txt"),
    )

    def asked(self, server: Server, conversation: str, **headers: str) -> Answer:
        """A conversation whose second turn has asked whether a file may be deleted."""
        self.says(server, conversation, "hello", "1: you said hello")
        answer = server.chat("delete a.txt", conversation, **headers)
        assert (answer.status, answer.json["status"]) == (200, "input_required"), answer
        return answer

    def resume(self, server: Server, conversation: str, decision: object, **headers: str) -> Answer:
        """Answer all that is asked; `decision` may also be the word `cancel`."""
        pending = server.chat("hello?", conversation).json.get("requests", ())
        resume = decision if decision == "cancel" else {one["id"]: decision for one in pending}
        content = {"resume": resume, "conversation_id": conversation}
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return server.request("POST", "/chat", content, named)

    def test_a_question_says_what_is_to_be_done(self, server: Server) -> None:
        (request,) = self.asked(server, "asked").json["requests"]
        assert request["kind"] in ("approval", "question")
        assert "delete" in f"{request.get('name')} {request.get('prompt')}".lower()
        assert "a.txt" in f"{request.get('arguments')} {request.get('prompt')}"

    def test_what_is_asked_is_not_said_twice(self, server: Server) -> None:
        """`name` and `arguments` are shown by every client; a prompt is what the user wrote."""
        (request,) = self.asked(server, "asked-once").json["requests"]
        assert request["kind"] == "question" or "prompt" not in request

    def test_a_stream_ends_with_the_question(self, server: Server) -> None:
        with Stream(server.port, "delete a.txt", "asked-by-a-stream") as stream:
            last = stream.rest()[-1]
        assert (last.kind, len(last.data["requests"])) == ("input_required", 1)

    def test_what_is_approved_is_done(self, server: Server) -> None:
        self.asked(server, "approved")
        answer = self.resume(server, "approved", {"approve": True})
        assert (answer.status, answer.json["response"]) == (200, "2: deleted a.txt")
        self.says(server, "approved", "again", "3: you said again")

    def test_what_is_refused_is_not_done(self, server: Server) -> None:
        self.asked(server, "refused")
        answer = self.resume(server, "refused", {"approve": False, "reason": "it is needed"})
        assert (answer.status, answer.json["response"]) == (200, "2: kept a.txt")
        self.says(server, "refused", "again", "3: you said again")

    def test_a_question_can_be_answered_after_a_kill(self, server: Server) -> None:
        answer = self.resume(server, "approved-later", {"approve": True})
        assert (answer.status, answer.json["response"]) == (200, "1: deleted a.txt")
        answer = self.resume(server, "refused-later", {"approve": False})
        assert (answer.status, answer.json["response"]) == (200, "1: kept a.txt")
        self.says(server, "refused-later", "again", "2: you said again")

    def test_a_message_is_refused_while_a_question_is_open(self, server: Server) -> None:
        requests = self.asked(server, "open").json["requests"]
        answer = server.chat("hello?", "open")
        assert (answer.status, answer.cause) == (409, "input-required")
        assert answer.headers["turn-outcome"] == "not_started"
        assert answer.json["requests"] == requests
        answer = self.resume(server, "open", {"approve": True})
        assert answer.json["response"] == "2: deleted a.txt"

    def test_a_question_holds_up_no_other_conversation(self, server: Server) -> None:
        self.asked(server, "open-for-long")
        self.says(server, "beside-it", "hello", "1: you said hello")

    def test_a_question_that_is_cancelled_was_never_asked(self, server: Server) -> None:
        self.asked(server, "dropped")
        assert self.resume(server, "dropped", "cancel").status == 200
        self.says(server, "dropped", "again", "2: you said again")

    def test_a_question_is_still_open_when_the_turn_that_answers_it_fails(
        self, server: Server
    ) -> None:
        """I-28"""
        asked = server.chat("delete fail.txt", "failed-later").json["requests"]
        answer = self.resume(server, "failed-later", {"approve": True})
        assert (answer.status, answer.headers["turn-outcome"]) == (502, "rolled_back")
        assert server.chat("hello?", "failed-later").json["requests"] == asked
        answer = self.resume(server, "failed-later", {"approve": False})
        assert answer.json["response"] == "1: kept fail.txt"

    def test_a_question_that_is_asked_for_twice_is_one(self, server: Server) -> None:
        """I-19"""
        first = self.asked(server, "keyed", idempotency_key="q")
        second = server.chat("delete a.txt", "keyed", idempotency_key="q")
        assert (second.status, second.json) == (200, first.json)

    def test_an_answer_that_is_sent_twice_counts_once(self, server: Server) -> None:
        """I-19"""
        requests = self.asked(server, "answered-twice").json["requests"]
        resume = {one["id"]: {"approve": True} for one in requests}
        content = {"resume": resume, "conversation_id": "answered-twice"}
        key = {"idempotency-key": "a"}
        first, second = (server.request("POST", "/chat", content, key) for _ in range(2))
        assert first.json["response"] == "2: deleted a.txt"
        assert (second.status, second.json) == (200, first.json)
        assert len(server.history("answered-twice")) == 6


class TakesImages(Scenarios):
    holds = "images"

    def test_images_reach_the_model(self, server: Server) -> None:
        answer = look(server, "looked", IMAGE, IMAGE)
        assert (answer.status, answer.json["response"]) == (200, "1: saw 2 images")
        self.says(server, "looked", "hello", "2: you said hello")


class TakesNoImages(Scenarios):
    def test_an_image_is_refused(self, server: Server) -> None:
        answer = look(server, "blind", IMAGE)
        assert (answer.status, answer.json["pointer"]) == (422, "/message/1/type")
        assert server.history("blind") == []


def look(server: Server, conversation: str, *images: object) -> Answer:
    message = [{"type": "text", "text": "look"}, *images]
    content = {"message": message, "conversation_id": conversation}
    return server.request("POST", "/chat", content)

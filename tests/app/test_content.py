"""What is asked besides a text: every wrong shape is refused where it is wrong, before any turn."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runner.agents.base import About
from runner.api.content import parse_content
from runner.api.problems import RequestError
from runner.settings import ServerSettings
from runner.turns.content import from_json

LIMITS = ServerSettings()


def about(*takes: str, urls: bool = True) -> About:
    kinds = frozenset(takes)
    return About("a", "for the test", True, False, takes=kinds, takes_urls=urls)


ALL = about("image", "file")

DATA = base64.b64encode(b"picture").decode()
TEXT = {"type": "text", "text": "look"}
IMAGE = {"type": "image", "media_type": "image/png", "data": DATA}
LINKED = {"type": "image", "url": "https://example.org/x.png"}
FILE = {"type": "file", "name": "a.pdf", "media_type": "application/pdf", "data": DATA}
LINKED_FILE = {"type": "file", "name": "a", "media_type": "a/b", "url": "http://x/y"}


def refused(fields: dict[str, Any], agent: About = ALL) -> dict[str, Any]:
    """The problem document; the body has come through JSON."""
    with pytest.raises(RequestError) as refusal:
        parse_content(json.loads(json.dumps(fields)), LIMITS, agent)
    document = dict(refusal.value.refusal.document)
    assert document["outcome"] == "not_started"
    return document


def without(part: dict[str, str], name: str) -> dict[str, str]:
    return {key: value for key, value in part.items() if key != name}


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ([TEXT], "look"),
        ([TEXT, TEXT], "look\nlook"),
        ([IMAGE], ""),
        ([TEXT, IMAGE, LINKED, FILE, LINKED_FILE, TEXT], "look\nlook"),
    ],
)
def test_parts_are_taken_as_they_are_and_their_text_is_the_message(
    message: list[Any], text: str
) -> None:
    found, content = parse_content({"message": message}, LIMITS, ALL)
    assert found == text
    if message in ([TEXT], [TEXT, TEXT]):
        assert content is None, "a text is a text, in how many parts it came"
    else:
        assert content is not None
        assert list(content.parts) == message


@pytest.mark.parametrize(
    ("message", "pointer"),
    [
        (None, "/message"),
        ("", "/message"),
        (7, "/message"),
        (True, "/message"),
        ({"type": "text", "text": "x"}, "/message"),
        ([], "/message"),
        ([TEXT] * 65, "/message"),
        (["text"], "/message/0/type"),
        ([None], "/message/0/type"),
        ([[TEXT]], "/message/0/type"),
        ([{}], "/message/0/type"),
        ([{"type": "audio"}], "/message/0/type"),
        ([{"type": ["text"]}], "/message/0/type"),
        ([{"type": "Text", "text": "x"}], "/message/0/type"),
        ([TEXT, {"type": "text"}], "/message/1/text"),
        ([{"type": "text", "text": ""}], "/message/0/text"),
        ([{"type": "text", "text": 7}], "/message/0/text"),
        ([{**TEXT, "url": "https://x/"}], "/message/0/url"),
        ([{**TEXT, "more": 1}], "/message/0/more"),
        ([without(IMAGE, "data")], "/message/0/data"),
        ([without(IMAGE, "media_type")], "/message/0/media_type"),
        ([{**IMAGE, "url": "https://x/"}], "/message/0/data"),
        ([{**IMAGE, "data": ""}], "/message/0/data"),
        ([{**IMAGE, "data": "not base64"}], "/message/0/data"),
        ([{**IMAGE, "data": DATA[:-1]}], "/message/0/data"),
        ([{**IMAGE, "data": DATA + "\n"}], "/message/0/data"),
        ([{**IMAGE, "data": "ü"}], "/message/0/data"),
        ([{**IMAGE, "media_type": "png"}], "/message/0/media_type"),
        ([{**IMAGE, "media_type": "image/png; x=y"}], "/message/0/media_type"),
        ([{**IMAGE, "media_type": "image/png\r\nx: y"}], "/message/0/media_type"),
        ([{**LINKED, "url": "file:///etc/passwd"}], "/message/0/url"),
        ([{**LINKED, "url": "ftp://x/"}], "/message/0/url"),
        ([{**LINKED, "url": "https://"}], "/message/0/url"),
        ([{**LINKED, "url": "https://x y"}], "/message/0/url"),
        ([{**LINKED, "url": None}], "/message/0/url"),
        ([without(FILE, "name")], "/message/0/name"),
        ([{**FILE, "name": "x" * 513}], "/message/0/name"),
        ([{**FILE, "url": "https://x/"}], "/message/0/data"),
        ([without(FILE, "data")], "/message/0/data"),
        ([{**TEXT, "a/b~c": 1}], "/message/0/a~1b~0c"),
        ([{**TEXT, "\ud800": 1}], "/message"),
    ],
)
def test_a_message_of_a_wrong_shape_is_refused_where_it_is_wrong(
    message: object, pointer: str
) -> None:
    document = refused({"message": message})
    assert (document["status"], document["pointer"]) == (422, pointer)


@pytest.mark.parametrize(
    ("part", "agent", "pointer", "words"),
    [
        (IMAGE, about(), "/message/1/type", "takes no images. It takes: text."),
        (FILE, about("image"), "/message/1/type", "takes no files. It takes: image, text."),
        (LINKED, about("image", urls=False), "/message/1/url", "fetches nothing"),
    ],
)
def test_an_agent_that_takes_no_such_part_refuses_it(
    part: dict[str, str], agent: About, pointer: str, words: str
) -> None:
    document = refused({"message": [TEXT, part]}, agent)
    assert (document["status"], document["pointer"]) == (422, pointer)
    assert words in document["detail"]


@pytest.mark.parametrize(
    "metadata",
    [[], "x", 7, True, {"a": 1}, {"a": None}, {"a": {}}, {"a": "x" * 513}, {"": "x"},
     {"x" * 65: "x"}, {str(number): "x" for number in range(17)}],
)  # fmt: skip
def test_metadata_of_a_wrong_shape_is_refused(metadata: object) -> None:
    document = refused({"message": "x", "metadata": metadata})
    assert (document["status"], document["pointer"]) == (422, "/metadata")


def test_metadata_as_large_as_may_be_is_taken() -> None:
    metadata = {f"{number:064}": "ü" * 512 for number in range(16)}
    _, content = parse_content({"message": "x", "metadata": metadata}, LIMITS, ALL)
    assert content is not None
    assert content.metadata == metadata


@pytest.mark.parametrize(
    "resume",
    [None, "", "Cancel", [], {}, 7],
)
def test_answers_that_are_no_object_are_refused(resume: object) -> None:
    document = refused({"resume": resume})
    assert (document["status"], document["pointer"]) == (422, "/resume")


@pytest.mark.parametrize(
    "answer",
    [True, {}, {"approve": 1}, {"approve": "yes"}, {"approve": None}, {"value": 1},
     {"approve": True, "reason": 7}, {"approve": True, "reason": None},
     {"approve": True, "because": "x"}, "cancel", []],
)  # fmt: skip
def test_an_answer_of_a_wrong_shape_is_refused_with_its_place(answer: object) -> None:
    document = refused({"resume": {"a": {"approve": True}, "b/c": answer}})
    assert (document["status"], document["pointer"]) == (422, "/resume/b~1c")


@pytest.mark.parametrize("message", ["x", None, [TEXT]])
def test_a_message_and_answers_do_not_go_together(message: object) -> None:
    document = refused({"message": message, "resume": "cancel"})
    assert document["pointer"] == "/message"


def test_a_message_that_is_too_long_is_refused_in_parts_too() -> None:
    half = {"type": "text", "text": "x" * 140_000}
    assert refused({"message": [half, half]})["status"] == 413
    assert refused({"resume": {"r": {"approve": True, "value": "x" * 280_000}}})["status"] == 413


@pytest.mark.parametrize(
    "fields",
    [
        {"message": "\ud800"},
        {"message": [{"type": "text", "text": "\ud800"}]},
        {"message": [{"type": "file", "name": "\ud800", "media_type": "a/b", "data": DATA}]},
        {"message": [{"type": "image", "url": "https://x/\ud800"}]},
        {"message": "x", "metadata": {"a": "\ud800"}},
        {"message": "x", "metadata": {"\ud800": "a"}},
        {"resume": {"\ud800": {"approve": True}}},
        {"resume": {"r": {"approve": True, "value": {"\ud800": 1}}}},
        {"resume": {"r": {"approve": True, "value": ["\ud800"]}}},
        {"resume": {"r": {"approve": False, "reason": "\ud800"}}},
        {"resume": {"r": {"approve": True, "reason": "\ud800"}}},
    ],
)
def test_half_a_character_is_refused_wherever_it_stands(fields: dict[str, Any]) -> None:
    """I-20: or the store would refuse it later, or the log."""
    assert refused(fields)["status"] == 422


WORDS = st.text(max_size=4)


def test_a_number_that_no_reader_could_hold_is_refused() -> None:
    with pytest.raises(RequestError):
        parse_content(
            json.loads('{"resume": {"r": {"approve": true, "value": 1e999}}}'), LIMITS, ALL
        )


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=8,
)
VALID = st.sampled_from([TEXT, IMAGE, LINKED, FILE, LINKED_FILE])
NAMES = st.sampled_from(["type", "text", "url", "media_type", "data", "name"])
PART = st.one_of(
    JSON,
    VALID,
    st.dictionaries(NAMES, JSON | st.sampled_from(["text", "image", "file", DATA, "a/b"])),
    st.tuples(VALID, NAMES, JSON).map(lambda made: {**made[0], made[1]: made[2]}),
)
DECISION = st.one_of(
    JSON,
    st.fixed_dictionaries(
        {"approve": st.booleans()}, optional={"value": JSON, "reason": WORDS | JSON}
    ),
)
FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "message": st.one_of(JSON, WORDS, st.lists(PART, max_size=3)),
        "metadata": JSON | st.dictionaries(WORDS, WORDS, max_size=4),
        "resume": st.one_of(JSON, st.just("cancel"), st.dictionaries(WORDS, DECISION, max_size=3)),
    },
)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(fields=FIELDS)
def test_whatever_is_sent_is_refused_in_words_or_survives_a_restart(fields: dict[str, Any]) -> None:
    """I-20, I-18: what gets past the edge is what the next process reads from its row."""
    try:
        message, content = parse_content(fields, LIMITS, ALL)
    except RequestError as error:
        document = error.refusal.document
        assert 400 <= document["status"] < 500
        assert document["pointer"].split("/")[0] == ""
    else:
        message.encode()
        assert from_json(None if content is None else content.to_json()) == content

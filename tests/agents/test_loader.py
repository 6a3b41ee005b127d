"""What a target is taken for, and what is said where it is none."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from textwrap import dedent

import pytest

from runner.agents.base import Message
from runner.agents.kinds import MOST_KEPT, AgentPerConversation, SharedAgent
from runner.agents.loader import AgentNotFound, load_agent, names
from runner.agents.threads import Threads
from strategies import AgentFailed
from tests.support.asking import ask

KINDS = """
import functools
from runner.agents import current_turn

async def two(message, history): return f"{message} {len(history)}"
async def one(message): return message
async def pieces(message, history):
    yield message
    yield str(len(history))
def sync(message, history): return f"{message} {len(history)}"
def optional(message, history=None): return f"{message} {len(history)}"
def generator(message):
    yield message
    yield "!"
def default(message="hi"): return message
def wrapper(*args): return f"{args[0]} {len(args[1])}"
partial = functools.partial(lambda prefix, message: prefix + message, "<")
coroutine_of_sync = lambda message: one(message)

class Own:
    def __init__(self): self.said = []
    def chat(self, message):
        self.said.append(message)
        return str(len(self.said))
class Stateless:
    async def __call__(self, message, history): return f"{message} {len(history)}"
class WithHistory:
    def __init__(self, history, greeting="hello"):
        self.before, self.greeting = len(history), greeting
    async def run(self, message): return f"{self.greeting} {message} {self.before}"
def make_polite(greeting, history): return WithHistory(history, greeting)
def history_only(history): return str(len(history))
class HistoryOnly:
    def answer(self, history): return str(len(history))
only = HistoryOnly()
def needs_more(message, *, model): return message
own, stateless = Own(), Stateless()
class Half(Own):
    def get_state(self): return {}
half = Half()
def make(): return Own()
def make_for(conversation_id): return lambda message: f"{conversation_id}: {message}"
async def make_async(): return Own()
def make_nothing(): return None
class Needs:
    def __init__(self, model): pass
value = 7
class Heavy(Own):
    most_kept = 1
class Broken:
    def __init__(self): raise SystemExit("a secret of the agent")
class Mute: pass
async def break_async(): raise RuntimeError("broken")
def make_with_turn():
    turn = current_turn()
    return lambda message: turn.id
class Count:
    def __init_subclass__(cls): cls.made = 0
    def count(self): type(self).made += 1; self.number = self.made
    def answer(self, message): return str(self.number)
class Counted(Count):
    def __init__(self): self.count()
class CountedForHistory(Count):
    def __init__(self, history): self.count()
class CountedForConversation(Count):
    def __init__(self, conversation_id): self.count()
class CountedAsync(Count): pass
async def count_async():
    made = CountedAsync()
    made.count()
    return made
"""

HISTORY: list[Message] = [
    {"role": "user", "content": "before"},
    {"role": "assistant", "content": "then"},
]


@pytest.fixture(scope="module")
def module(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("targets")
    (folder / "kinds_of_agents.py").write_text(dedent(KINDS))
    sys.path.insert(0, str(folder))
    yield "kinds_of_agents"
    sys.path.remove(str(folder))


def load(target: str, **options: object) -> SharedAgent | AgentPerConversation:
    return load_agent(target, options, threads=Threads(4), max_reply_bytes=100)


@pytest.mark.parametrize(
    ("name", "reply", "kind"),
    [
        ("two", "hi 2", "async function"),
        ("one", "hi", "async function"),
        ("pieces", "hi2", "async generator"),
        ("sync", "hi 2", "sync function, run in threads"),
        ("optional", "hi 2", "sync function, run in threads"),
        ("default", "hi", "sync function, run in threads"),
        ("wrapper", "hi 2", "sync function, run in threads"),
        ("generator", "hi!", "sync generator, run in threads"),
        ("partial", "<hi", "sync function, run in threads"),
        ("coroutine_of_sync", "hi", "sync function, run in threads"),
        ("own", "1", "one object with a history of its own"),
        ("own.chat", "2", "sync function"),
        ("stateless", "hi 2", "async function (Stateless.__call__)"),
        ("Own", "1", "class, one agent for each conversation"),
        ("WithHistory", "hello hi 2", "class, one agent for each conversation"),
        ("make", "1", "factory, one agent for each conversation"),
        ("make_for", "c: hi", "factory, one agent for each conversation"),
        ("make_async", "1", "factory, one agent for each conversation"),
    ],
)
async def test_each_kind_of_target_answers(module: str, name: str, reply: str, kind: str) -> None:
    agent = load(f"{module}:{name}")
    assert kind in agent.about.kind
    assert await ask(agent, "c", "hi", HISTORY) == reply


def test_only_an_object_with_a_history_of_its_own_is_one_conversation(module: str) -> None:
    assert load(f"{module}:own").about.single_conversation
    for name in ("stateless", "Own", "make", "one", "two"):
        assert not load(f"{module}:{name}").about.single_conversation


async def test_a_factory_makes_one_agent_for_each_conversation(module: str) -> None:
    agent = load(f"{module}:Own")
    assert [await ask(agent, name, "hi", []) for name in "aab"] == ["1", "2", "1"]


async def test_after_a_turn_that_was_not_kept_an_agent_is_made_again_from_the_history(
    module: str,
) -> None:
    agent = load(f"{module}:WithHistory")
    assert await ask(agent, "c", "hi", []) == "hello hi 0"
    assert await ask(agent, "c", "hi", HISTORY) == "hello hi 0"
    agent.not_kept("c")
    assert await ask(agent, "c", "hi", HISTORY) == "hello hi 2"


async def test_as_many_agents_are_kept_as_their_class_says(module: str) -> None:
    agent = load(f"{module}:Heavy")
    assert [await ask(agent, name, "hi", []) for name in "aaba"] == ["1", "2", "1", "1"]


async def test_one_callers_conversations_push_out_no_other_callers_agent(module: str) -> None:
    """I-29"""
    agent = load(f"{module}:Own")
    assert await ask(agent, "bob/c", "hi", []) == "1"
    for number in range(MOST_KEPT + 1):
        await ask(agent, f"ann/{number}", "hi", [])
    assert await ask(agent, "bob/c", "hi", []) == "2"
    assert await ask(agent, "ann/0", "hi", []) == "1"


@pytest.mark.parametrize("name", ["WithHistory", "make_polite"])
async def test_options_reach_a_factory_by_name(module: str, name: str) -> None:
    """A function whose every parameter has a value is a factory."""
    agent = load(f"{module}:{name}", greeting="ahoy")
    assert await ask(agent, "c", "hi", []) == "ahoy hi 0"


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("WithHistory", {"greetings": "x"}, "no option 'greetings'. It has: greeting"),
        ("two", {"greeting": "x"}, "takes no options"),
        ("Needs", {}, "needs the option 'model'"),
        ("value", {}, "is an int, which cannot be asked"),
        ("only", {}, "is a HistoryOnly, which cannot be asked"),
        ("needs_more", {}, "wants (message, model), and an agent is given `message`"),
        ("half", {}, "Half has get_state, and not set_state: give it both."),
        ("needs_more", {"model": "x"}, "takes no options"),
        ("nothing", {}, "has no 'nothing'"),
    ],
)
def test_a_target_that_cannot_be_is_refused_with_the_remedy(
    module: str, name: str, options: dict[str, object], words: str
) -> None:
    with pytest.raises(AgentNotFound, match="agent") as refusal:
        load(f"{module}:{name}", **options)
    assert words in str(refusal.value)


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("elisa", "Did you mean 'eliza'?"),
        ("pydantic_ai", "That is a framework: name the agent that you made with it."),
        ("no_such_module:agent", "no module 'no_such_module'"),
        ("kinds_of_agents:tow", "has no 'tow'; did you mean 'two'?"),
        ("kinds_of_agents:zzzz", "has no 'zzzz'; it has two, one, pieces, sync, optional"),
        ("kinds_of_agents:own.chatt", "has no 'own.chatt'; did you mean 'chat'?"),
        ("kinds_of_agents.py:two", "did you mean 'kinds_of_agents:two'?"),
        ("kinds_of_agents.py", "Did you mean 'kinds_of_agents:agent'?"),
        ("./kinds_of_agents.py:two", "did you mean 'kinds_of_agents:two'?"),
        ("kinds_of_agents.two", "Did you mean 'kinds_of_agents:two'?"),
        ("kinds_of_agents:", "Did you mean 'kinds_of_agents:agent'?"),
        ("kinds_of_agents", "Did you mean 'kinds_of_agents:agent'?"),
        # With an id of its own: `::` in it would be another scope to pytest-xdist.
        pytest.param("kinds_of_agents::two", "did you mean 'two'?", id="two colons"),
        ("package/kinds_of_agents:two", "did you mean 'package.kinds_of_agents:two'?"),
        ("kinds_of_agent:two", "did you mean 'kinds_of_agents:two'?"),
    ],
)
def test_a_name_that_is_not_known_says_so(
    module: str, target: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(sys.path[0])
    with pytest.raises(AgentNotFound) as refusal:
        load(target)
    assert words in str(refusal.value)


def test_what_is_missing_inside_the_targets_module_is_shown_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "imports_nothing.py").write_text("import surely_not_installed")
    sys.path.insert(0, str(tmp_path))
    try:
        with pytest.raises(ModuleNotFoundError, match="surely_not_installed"):
            load("imports_nothing:agent")
    finally:
        sys.path.remove(str(tmp_path))


@pytest.mark.parametrize("name", ["make_nothing", "Broken"])
async def test_a_factory_that_fails_fails_the_turn(module: str, name: str) -> None:
    with pytest.raises(AgentFailed):
        await ask(load(f"{module}:{name}"), "c", "hi")


@pytest.mark.parametrize(
    ("name", "error", "words"),
    [
        ("make_nothing", AgentFailed, "made NoneType, which cannot be asked"),
        ("history_only", AgentFailed, "is a factory; an agent takes a `message`"),
        ("Mute", AgentFailed, "made Mute, which cannot be asked"),
        ("Broken", SystemExit, "a secret of the agent"),
        ("break_async", RuntimeError, "broken"),
    ],
)
def test_a_factory_that_is_tried_out_raises_what_is_wrong_with_it(
    module: str, name: str, error: type[BaseException], words: str
) -> None:
    with pytest.raises(error, match=words):
        load(f"{module}:{name}").try_out([])


@pytest.mark.parametrize("name", ["own", "two", "make_with_turn"])
def test_what_can_answer_passes_its_trial(module: str, name: str) -> None:
    load(f"{module}:{name}").try_out([])


@pytest.mark.parametrize(
    ("name", "conversation", "history", "made"),
    [
        ("Counted", "c", HISTORY, 1),
        ("CountedForHistory", "c", [], 1),
        ("CountedForHistory", "c", HISTORY, 2),
        ("CountedForConversation", "default", [], 1),
        ("CountedForConversation", "c", [], 2),
        ("count_async", "default", [], 2),
    ],
)
async def test_the_agent_that_was_tried_out_serves_the_first_conversation_if_it_fits(
    module: str, name: str, conversation: str, history: list[Message], made: int
) -> None:
    for counted in import_module(module).Count.__subclasses__():
        counted.made = 0
    agent = load(f"{module}:{name}")
    agent.try_out([])
    first = int(await ask(agent, conversation, "hi", history))
    second = int(await ask(agent, "another", "hi", []))
    assert (first, second) == (made, made + 1)


def test_the_built_in_agents_are_listed() -> None:
    assert list(names()) == ["eliza", "chain", "smollm"]

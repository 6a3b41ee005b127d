"""What is tried with an agent. Each trial uses conversations of its own, if there may be several.

In each a word is told and kept first: what comes then must not wipe it, and must leave
nothing behind that is not in the history.
"""

from __future__ import annotations

import time
from statistics import median

from loadtests.probe.conversation import Conversation, Probed
from loadtests.probe.judge import STALE, judge
from loadtests.probe.memory import Memory, Recall, Replies, decide
from loadtests.probe.not_kept import TAKEN_BACK
from loadtests.probe.sentences import filled, named

TRIES = 2

SHARES = (0.5, 0.25, 0.0)
"""Of the usual time of a turn, after which it is cancelled: a quick one may be over by then."""

STAGGERS = (0.0, 0.4)
"""When overlapping turns come: all at once, and each when the one before is partly done."""

TOO_QUICK = "its turns are over before they can be cancelled"
DID_NOT_FAIL = "the message of --fail was answered"
ENDED_BEFORE = "the turn had ended before the process was killed"
BY_CHANCE = "a question was answered without the word, as also happens without overlapping turns"

STALE_TIMES = 3
"""So often in a row a turn must not have known enough, and without overlapping never: a model
may miss a word by chance."""


def memory(probed: Probed) -> Memory:
    """What the agent remembers, one turn after the other."""
    told, untold = list[Recall](), list[str]()
    if probed.server.facts.single_conversation:
        first = probed.conversation()
        untold += [first.ask().text, first.ask().text]
    for _ in range(TRIES):
        conversation = probed.conversation()
        conversation.turn(conversation.telling())
        if not probed.server.facts.single_conversation:
            untold.append(probed.conversation().ask().text)
        if (recall := conversation.recall()) is not None:
            told.append(recall)
    replies = Replies(probed.sentences.ask, told, untold)
    if told and not replies.are_named:
        replies = Replies(probed.sentences.ask, told, untold, _at_once(probed))
    ran_s = [seen.ran_s for one in probed.current for seen in one.seen if seen.is_answered]
    return decide(replies, median(ran_s) if ran_s else 0.0)


def _at_once(probed: Probed) -> Recall:
    conversation = probed.conversation()
    word = conversation.new_word()
    message = f"{probed.sentences.telling(word)} {probed.sentences.ask}"
    return Recall(word, (conversation.turn(message).text,))


def two_conversations(probed: Probed, known: Memory) -> str:
    """Turns of two conversations at once."""
    one, other = probed.conversation(), probed.conversation()
    ask = probed.sentences.ask
    probed.together([(one, one.telling()), (other, other.telling())])
    probed.together([(one, ask), (other, ask)])
    one.recall()
    other.recall()
    return ""


def not_kept(probed: Probed, known: Memory) -> str:
    """A turn that the agent answers, and that is not kept."""
    conversation = probed.conversation()
    conversation.turn(conversation.telling())
    conversation.turn(conversation.telling(), Priority=f"u={TAKEN_BACK}")
    conversation.recall()
    return ""


def cancelled(probed: Probed, known: Memory) -> str:
    """A turn that is cancelled in the middle."""
    conversation = probed.conversation()
    conversation.turn(conversation.telling())
    note = _cancel(probed, conversation, known)
    conversation.recall()
    return note


def _cancel(probed: Probed, conversation: Conversation, known: Memory) -> str:
    client = probed.server.client
    for share in SHARES:
        sent = client.send(conversation.telling(), conversation.name)
        time.sleep(share * known.ran_s)
        client.cancel_running(conversation.name)
        seen = client.receive(sent)
        conversation.seen.append(seen)
        probed.check(seen)
        if seen.cause == "turn-cancelled":
            return ""
    return TOO_QUICK


def failing(probed: Probed, known: Memory, message: str) -> str:
    """A turn in which the agent fails by itself."""
    conversation = probed.conversation()
    conversation.turn(conversation.telling())
    text = filled(message, conversation.new_word())
    # Not among the turns that are seen, for this one is to fail.
    seen = probed.server.client.turn(text, conversation.name)
    probed.check(seen)
    conversation.recall()
    return DID_NOT_FAIL if seen.is_answered else ""


def killed(probed: Probed, known: Memory) -> str:
    """A turn in the middle of which the process is killed; then another over the same store."""
    conversation = probed.conversation()
    conversation.turn(conversation.telling())
    client = probed.server.client
    sent = client.send(conversation.telling(), conversation.name)
    time.sleep(known.ran_s / 2)
    probed.server.kill()
    seen = client.receive(sent)
    probed.server.start()
    conversation.was_restarted = True
    if seen.is_answered:
        conversation.seen.append(seen)
    conversation.recall()
    return ENDED_BEFORE if seen.is_answered else ""


def overlapping(probed: Probed, known: Memory, turns: int) -> str:
    """Turns of one conversation, one of which tells a word, sent while others of it run."""
    note = ""
    for place, stagger in enumerate(STAGGERS):
        stale = 0
        for _ in range(STALE_TIMES):
            _overlap(probed, place, turns, stagger * known.ran_s)
            if not (known.is_sure and _is_stale(probed.current[-1])):
                break
            stale += 1
        if 0 < stale < STALE_TIMES or (stale and _misses_anyway(probed, turns)):
            note = BY_CHANCE
    return note


def _misses_anyway(probed: Probed, turns: int) -> bool:
    """Whether the word is missed by the same turns, sent one after another."""
    for _ in range(STALE_TIMES):
        conversation = Conversation(probed, probed.new_name())
        word = conversation.new_word()
        conversation.turn(probed.sentences.telling(word))
        if not all(named([word], conversation.ask().text) for _ in range(turns - 1)):
            return True
    return False


def _overlap(probed: Probed, place: int, turns: int, stagger_s: float) -> None:
    conversation = probed.conversation()
    messages = [probed.sentences.ask] * turns
    messages[place] = conversation.telling()
    seen = probed.together([(conversation, message) for message in messages], stagger_s)
    conversation.overlapping.update(one.number for one in seen if one.is_answered)
    conversation.recall()


def _is_stale(conversation: Conversation) -> bool:
    """Whether there is nothing worse."""
    return [finding.kind for finding in judge(conversation.trial())] == [STALE]

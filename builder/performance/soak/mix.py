"""What is asked: conversations that grow turn by turn, short questions and long ones; texts of several lengths.

All chats begin with the same words, and each turn of a conversation begins with all that was said in it before, as
users' programs send it. A conversation that no longer fits loses its oldest turns and keeps its beginning, so that what
is left can be taken from the cache in pieces only. What stands for the server's earlier answers is made up beforehand:
every server is asked the same, whatever it says. Conversations are in the middle of their lives when the soak begins,
so that its first minutes are like its last.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from builder.performance.prompts import Prompts
from builder.performance.wire import Request, request
from builder.profiles import Profile
from builder.server.client import embedding_request

SHORT, TURN, LONG = "short", "turn", "long"
ONE, WHOLE, BATCH = "one", "whole", "batch"
_CHATS: Mapping[str, float] = {TURN: 0.7, SHORT: 0.2, LONG: 0.1}
_TEXTS: Mapping[str, float] = {ONE: 0.7, WHOLE: 0.2, BATCH: 0.1}
"""How often each is asked for."""
_BEGINNING, _QUESTION, _LONGEST = 100, 60, 1850
"""Tokens of the words that all chats begin with, of a question, and of the longest prompt."""
_LEAST_TURNS, _MOST_TURNS = 3, 16
_TEMPLATE, _PER_MESSAGE = 80, 8
"""Tokens that a chat template may put around a chat, and around each message."""
_SAFE = 0.95
"""Words are not tokens in every model."""
_SHORTEST, _USUAL, _IN_A_BATCH, _MARKS = 16, 100, 4, 8
_CHAT_PATH, _TEXT_PATH = "/v1/chat/completions", "/v1/embeddings"


@dataclass(frozen=True)
class Question:
    """One request that is to be sent.

    Attributes:
        kind: such as `turn`.
        tokens: that are to be made; for vectors, how many vectors.
        length: tokens of the texts that become vectors, about; 0 for chats, where servers tell.
    """

    kind: str
    request: Request
    tokens: int
    length: int = 0


@dataclass(frozen=True)
class ChatSizes:
    """How long chats are.

    Attributes:
        room: tokens that a slot has for a prompt.
        answer: tokens of an answer.
    """

    room: int
    answer: int

    @classmethod
    def in_slot(cls, slot: int, answer: int) -> ChatSizes:
        """Sizes that fit into a slot; the answer takes a quarter of it at most."""
        answer = max(1, min(answer, slot // 4))
        return cls(max(_TEMPLATE, int((slot - answer - _TEMPLATE) * _SAFE)), answer)

    @property
    def beginning(self) -> int:
        """Tokens that all chats begin with."""
        return min(_BEGINNING, self.room // 6)

    @property
    def question(self) -> int:
        """Tokens of a question."""
        return min(_QUESTION, self.room // 6)

    @property
    def long(self) -> int:
        """Tokens of a long question."""
        return max(self.question, min(_LONGEST, self.room - self.beginning - 3 * _PER_MESSAGE))

    def turns_that_fit(self) -> int:
        """Questions in one prompt, all but the last with their answers."""
        turn = self.question + self.answer + 2 * _PER_MESSAGE
        return max(1, (self.room - self.beginning - self.question - 2 * _PER_MESSAGE) // turn + 1)


@dataclass
class _Conversation:
    """One that goes on: its name, the turn that is next, from 0, and how many it has."""

    name: str
    turn: int
    turns: int


def chats(prompts: Prompts, sizes: ChatSizes, conversations: int, seed: int) -> Iterator[Question]:
    """What is asked of a chat server, without end.

    Args:
        conversations: that go on at once.
        seed: the same one gives the same questions.
    """
    # The choice of questions protects nothing.
    chosen = random.Random(f"mix/{seed}")  # noqa: S311
    beginning = {"role": "system", "content": prompts.text(sizes.beginning, "beginning")}
    going_on = [_begun(chosen, str(number), midway=True) for number in range(conversations)]
    number = 0
    while True:
        number += 1
        (kind,) = chosen.choices(list(_CHATS), list(_CHATS.values()))
        if kind == TURN:
            place = chosen.randrange(conversations)
            messages = _turn(prompts, sizes, going_on[place])
            going_on[place].turn += 1
            if going_on[place].turn >= going_on[place].turns:
                going_on[place] = _begun(chosen, f"{place}/{number}", midway=False)
        else:
            length = sizes.long if kind == LONG else sizes.question
            messages = [{"role": "user", "content": prompts.text(length, f"{kind}/{number}")}]
        yield Question(kind, _chat([beginning, *messages], sizes.answer), sizes.answer)


def texts(prompts: Prompts, slot: int, profile: Profile, seed: int) -> Iterator[Question]:
    """What is asked of a server for vectors, without end: a text has to fit in a micro-batch as a whole.

    Each text of a batch takes a slot; a batch has no more texts than there are slots.

    Args:
        slot: tokens that a slot takes.
        seed: the same one gives the same texts.
    """
    # The choice of texts protects nothing.
    chosen = random.Random(f"mix/{seed}")  # noqa: S311
    room = max(1, int((min(slot, profile.ubatch) - _MARKS) * _SAFE))
    number = 0
    while True:
        number += 1
        (kind,) = chosen.choices(list(_TEXTS), list(_TEXTS.values()))
        usual = min(room, round(chosen.uniform(_SHORTEST, 2 * _USUAL)))
        count, length = {ONE: (1, usual), WHOLE: (1, room), BATCH: (min(_IN_A_BATCH, profile.slots), usual)}[kind]
        written = [prompts.text(length, f"{kind}/{number}/{place}") for place in range(count)]
        yield Question(kind, request(_TEXT_PATH, embedding_request(written)), count, count * length)


def _begun(chosen: random.Random, name: str, *, midway: bool) -> _Conversation:
    turns = chosen.randint(_LEAST_TURNS, _MOST_TURNS)
    return _Conversation(name, chosen.randrange(turns) if midway else 0, turns)


def _turn(prompts: Prompts, sizes: ChatSizes, conversation: _Conversation) -> list[dict[str, str]]:
    """The messages of a turn: what was said before, as far as it fits, and the question."""
    oldest = max(0, conversation.turn + 1 - sizes.turns_that_fit())
    said: list[dict[str, str]] = []
    for turn in range(oldest, conversation.turn + 1):
        name = f"{conversation.name}/{turn}"
        said.append({"role": "user", "content": prompts.text(sizes.question, f"question {name}")})
        said.append({"role": "assistant", "content": prompts.text(sizes.answer, f"answer {name}")})
    return said[:-1]


def _chat(messages: list[dict[str, str]], tokens: int) -> Request:
    """A chat that is streamed and as long as it is asked to be; the cache may help."""
    sampling = {"max_tokens": tokens, "temperature": 0.0, "seed": 1, "ignore_eos": True}
    streamed = {"stream": True, "stream_options": {"include_usage": True}, "cache_prompt": True}
    return request(_CHAT_PATH, {"messages": messages, **sampling, **streamed})

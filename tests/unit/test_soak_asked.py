"""What a soak asks, and when."""

from __future__ import annotations

import json
from collections import Counter
from itertools import islice, pairwise
from statistics import mean, pstdev
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.performance.prompts import Prompts
from builder.performance.soak.arrivals import Spacing, arrivals
from builder.performance.soak.mix import ChatSizes, Question, chats, texts
from builder.profiles import profile

rates = st.floats(0.5, 600)
SPACINGS: tuple[Spacing, ...] = ("poisson", "even")


@given(rate=rates, seconds=st.floats(1, 600), spacing=st.sampled_from(SPACINGS), seed=st.integers(0, 99))
def test_arrivals_begin_at_once_rise_and_end_in_time(rate: float, seconds: float, spacing: Spacing, seed: int) -> None:
    times = list(arrivals(rate, seconds, spacing, seed))
    assert times[0] == 0
    assert all(before <= after for before, after in pairwise(times))
    assert times[-1] < seconds
    assert times == list(arrivals(rate, seconds, spacing, seed)), "the same seed gives the same times"


def test_even_arrivals_are_as_many_as_the_rate_says() -> None:
    times = list(arrivals(30, 1800, "even", 1))
    assert len(times) == 900
    assert {round(after - before, 6) for before, after in pairwise(times)} == {2.0}


def test_poisson_arrivals_keep_the_rate_and_scatter_as_chance_does() -> None:
    times = list(arrivals(30, 60 * 2000, "poisson", 7))
    gaps = [after - before for before, after in pairwise(times)]
    assert mean(gaps) == pytest.approx(2.0, rel=0.02)
    assert pstdev(gaps) == pytest.approx(2.0, rel=0.03), "as wide as their mean: nobody knows of the others"
    assert times[:50] != list(arrivals(30, 60 * 2000, "poisson", 8))[:50]


def words(tokens_per_word: float = 1.0) -> Prompts:
    made = Prompts.for_server(lambda text: 1 + round(tokens_per_word * len(text.split())), "test")
    assert made.tokens_per_word == pytest.approx(tokens_per_word)
    return made


def messages(question: Question) -> list[dict[str, str]]:
    content: dict[str, Any] = json.loads(question.request.content)
    found: list[dict[str, str]] = content["messages"]
    return found


def length(question: Question) -> int:
    return sum(len(message["content"].split()) for message in messages(question))


def test_all_kinds_of_chats_are_asked_for_and_fit() -> None:
    sizes = ChatSizes.in_slot(2048, 64)
    asked = list(islice(chats(words(), sizes, 10, 1), 600))
    kinds = Counter(one.kind for one in asked)
    assert kinds["turn"] > kinds["short"] > kinds["long"] > 20
    template = max(80, 8 * max(len(messages(one)) for one in asked))
    assert max(length(one) for one in asked) + template + 64 <= 2048
    longest = [length(one) for one in asked if one.kind == "long"]
    assert min(longest) > 1500
    assert {message["role"] for one in asked for message in messages(one)} == {"system", "user", "assistant"}
    assert all(messages(one)[-1]["role"] == "user" for one in asked)
    assert all(json.loads(one.request.content)["cache_prompt"] for one in asked)


def test_all_chats_begin_alike_and_turns_with_what_was_said_before() -> None:
    asked = list(islice(chats(words(), ChatSizes.in_slot(4096, 64), 3, 1), 300))
    assert len({messages(one)[0]["content"] for one in asked}) == 1
    turns = [messages(one) for one in asked if one.kind == "turn"]
    grown = sum(any(later[: len(turn)] == turn for later in turns[place + 1 :]) for place, turn in enumerate(turns))
    assert grown > 0.7 * len(turns), "a later turn begins with the whole of this one"


def test_a_conversation_that_does_not_fit_loses_its_oldest_turns_and_keeps_its_beginning() -> None:
    sizes = ChatSizes.in_slot(1024, 64)
    assert 2 <= sizes.turns_that_fit() < 10
    turns = [messages(one) for one in islice(chats(words(), sizes, 2, 3), 200) if one.kind == "turn"]
    assert max(len(turn) for turn in turns) == 2 * sizes.turns_that_fit()
    cut = [
        (turn, later)
        for turn, later in pairwise(turns)
        if len(turn) == len(later) == 2 * sizes.turns_that_fit() and turn[3:] == later[1:-2]
    ]
    assert cut, "what is left of a conversation moves to its beginning"
    assert all(turn[0] == later[0] for turn, later in cut)


def test_the_mix_is_the_same_from_the_beginning_to_the_end() -> None:
    asked = list(islice(chats(words(), ChatSizes.in_slot(2048, 64), 10, 1), 500))
    turns = [length(one) for one in asked if one.kind == "turn"]
    assert mean(turns[:100]) == pytest.approx(mean(turns[-100:]), rel=0.35)


def test_the_same_seed_asks_the_same_and_another_one_something_else() -> None:
    sizes = ChatSizes.in_slot(2048, 64)
    first, again, other = (
        [one.request.content for one in islice(chats(words(), sizes, 10, seed), 50)] for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


@given(slot=st.integers(64, 40000), answer=st.integers(1, 4096))
def test_sizes_fit_into_any_slot(slot: int, answer: int) -> None:
    sizes = ChatSizes.in_slot(slot, answer)
    assert 1 <= sizes.answer <= max(1, slot // 4)
    assert 1 <= sizes.question <= sizes.long
    assert sizes.turns_that_fit() >= 1
    if slot >= 256:
        assert sizes.long + sizes.beginning + sizes.answer <= slot


def test_texts_of_several_lengths_fit_into_a_micro_batch() -> None:
    served = profile("embedding", slots=4)
    asked = list(islice(texts(words(), 512, served, 1), 400))
    kinds = Counter(one.kind for one in asked)
    assert kinds["one"] > kinds["whole"] > kinds["batch"] > 10
    contents = [json.loads(one.request.content)["input"] for one in asked]
    assert {len(content) for content in contents} == {1, 4}
    lengths = {len(text.split()) for content in contents for text in content}
    assert max(lengths) <= 512 - 8
    assert len(lengths) > 50
    assert all(one.tokens == len(content) for one, content in zip(asked, contents, strict=True))

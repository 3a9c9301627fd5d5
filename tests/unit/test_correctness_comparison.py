"""Two answers to one prompt."""

from __future__ import annotations

from math import log, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.gates.correctness.comparison import compare, described, excerpt
from builder.gates.correctness.tolerances import EXACT, Tolerance, of_caches
from builder.profiles import CacheType, profile
from builder.server.foresight import Foreseen, Step, Token

FEW = Tolerance(0.02, 0.1)


def step(*likely: tuple[Token, float], whole: bool = True) -> Step:
    """A step that made the first of these."""
    return Step(likely[0][0], dict(likely), whole)


RIGHT = (step((1, -0.5), (2, -1.5), (3, -4.0)), step((2, -0.1), (5, -3.0), (1, -6.0)))


def test_the_same_answer_is_right() -> None:
    compared = compare(RIGHT, RIGHT, FEW)
    assert compared.within(FEW)
    assert (compared.mean, compared.most, len(compared.differences), compared.steps) == (0, 0, 6, 2)


@given(st.lists(st.floats(-0.015, 0.015), min_size=3, max_size=3))
def test_what_rounding_does_is_right(off: list[float]) -> None:
    said = step(*((token, value + by) for (token, value), by in zip(RIGHT[0].likely.items(), off, strict=True)))
    assert compare(RIGHT[:1], (said,), FEW).within(FEW)


def test_one_probability_that_is_far_off_is_told_with_its_token() -> None:
    said = (RIGHT[0], step((2, -0.1), (5, -3.2), (1, -6.0)))
    compared = compare(RIGHT, said, FEW)
    assert not compared.within(FEW)
    assert compared.most == pytest.approx(0.2)
    told = described(compared, FEW, lambda token: f"<{token}>")
    assert "the words are right, but" in told
    assert "(token 2, '<5>': -3.20 instead of -3.00); 0.02 in the mean and 0.1 at most may be" in told
    assert excerpt(compared)[0] == "token 2: '5' has -3.200, expected -3.000"


def test_many_that_are_a_little_off_are_wrong_too() -> None:
    said = tuple(step(*((token, value - 0.05) for token, value in one.likely.items())) for one in RIGHT)
    compared = compare(RIGHT, said, FEW)
    assert compared.most < FEW.most
    assert not compared.within(FEW)


def test_another_word_is_wrong_and_ends_the_comparison() -> None:
    said = (step((3, -0.2), (1, -2.5)), step((7, -0.1)))
    compared = compare(RIGHT, said, FEW)
    assert compared.wrong == (
        "token 1 is '3' (-4.00) where '1' (-0.50) is right, by the logarithms of their probabilities"
    )
    assert {one.place for one in compared.differences} == {1}


@pytest.mark.parametrize("reference", [step((1, nan), (2, -1.0)), step((1, -0.5), (2, nan)), Step(1, {})])
def test_a_reference_without_numbers_is_told_as_that(reference: Step) -> None:
    for said in (RIGHT[0], step((2, -0.1), (1, -3.0))):
        compared = compare((reference,), (said,), FEW)
        assert compared.wrong == "what token 1 is compared with has no numbers as probabilities"
        assert not compared.within(FEW)


def test_a_reference_that_does_not_name_its_own_word_is_no_right_word() -> None:
    odd = Step(7, {1: -0.5, 2: -0.6})
    compared = compare((odd,), (step((1, -0.5), (2, -0.6)),), FEW)
    assert compared.wrong.startswith("token 1 is '1' (-0.50) where '7' (not among the most probable) is right")


def test_a_word_that_nobody_expects_is_wrong() -> None:
    compared = compare(RIGHT, (step((9, -0.2), (1, -2.5)),), FEW)
    assert "'9' (not among the most probable)" in compared.wrong


def test_a_word_as_probable_as_the_right_one_is_no_fault() -> None:
    right = (step((1, -0.70), (2, -0.72)), step((4, -0.1)))
    said = (step((2, -0.70), (1, -0.71)), step((9, -0.1)))
    compared = compare(right, said, FEW)
    assert compared.within(FEW)
    assert compared.steps == 1


def test_a_word_as_probable_as_the_right_one_with_wrong_probabilities_is_a_fault() -> None:
    right, said = (step((1, -0.70), (2, -0.72)),), (step((2, -0.20), (1, -1.9)),)
    assert not compare(right, said, FEW).within(FEW)


def test_tokens_that_are_missing_are_told() -> None:
    compared = compare(RIGHT, RIGHT[:1], FEW)
    assert compared.wrong == "it made 1 tokens with probabilities instead of 2"
    assert compare(RIGHT, (), FEW).wrong == "it made 0 tokens with probabilities instead of 2"


def test_a_probable_token_that_is_not_named_is_a_difference() -> None:
    said = step((1, -0.5), (3, -4.0))
    compared = compare(RIGHT[:1], (said,), FEW)
    assert compared.most == pytest.approx(2.5)
    assert compared.differences[-1].token == 2


@pytest.mark.parametrize("likely", [{1: nan, 2: -1.0}, {1: -0.5, 2: float("-inf")}, {}])
def test_what_is_no_number_is_wrong(likely: dict[Token, float]) -> None:
    compared = compare(RIGHT, (Step(1, likely),), FEW)
    assert compared.wrong == "the probabilities of token 1 are no numbers"


def test_probabilities_among_those_named_are_compared_as_such() -> None:
    said = step((1, log(0.7)), (2, log(0.3)), whole=False)
    right = step((1, log(0.35)), (2, log(0.15)), (3, log(0.5)))
    assert compare((Step(1, right.likely),), (said,), FEW).most == pytest.approx(0, abs=1e-9)
    skewed = step((1, log(0.75)), (2, log(0.25)), whole=False)
    assert compare((Step(1, right.likely),), (skewed,), FEW).most == pytest.approx(log(0.3 / 0.25))


def test_what_a_server_has_no_number_for_is_no_number() -> None:
    new = '{"completion_probabilities": [{"id": 1, "top_logprobs": [{"id": 1, "logprob": null}]}]}'
    old = '{"completion_probabilities": [{"content": "a", "probs": [{"tok_str": "a", "prob": null}]}]}'
    for text in (new, old):
        (made,) = Foreseen.model_validate_json(text).steps
        assert compare((Step(made.token, {made.token: -0.1}),), (made,), FEW).wrong


def test_a_server_without_probabilities_made_no_steps() -> None:
    assert Foreseen.model_validate_json('{"content": "a"}').steps == ()


@pytest.mark.parametrize(
    ("keys", "values", "expected"), [("f16", "f16", EXACT), ("f16", "q8_0", None), ("q4_0", "q8_0", None)]
)
def test_the_coarser_cache_decides(keys: CacheType, values: CacheType, expected: Tolerance | None) -> None:
    both = profile("chat", **{"cache-type-k": keys, "cache-type-v": values})
    alone = [profile("chat", **{"cache-type-k": one, "cache-type-v": one}) for one in (keys, values)]
    assert of_caches(both) == (expected or max((of_caches(one) for one in alone), key=lambda one: one.most))

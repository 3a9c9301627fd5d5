"""What layers compute, against values by hand and what has to hold for any."""

from __future__ import annotations

from math import cos, exp, log, sin, sqrt
from typing import Any

import numpy as np
import pytest

from builder.server.models.arithmetic import (
    Numbers,
    Pairs,
    attend,
    gelu,
    heads,
    layer_norm,
    log_softmax,
    rms_norm,
    rotate,
    silu,
    softmax,
)


def numbers(values: list[Any]) -> Numbers:
    return np.asarray(values, np.float32)


def some(*shape: int, seed: int = 1) -> Numbers:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def test_an_rms_norm_divides_by_the_root_of_the_mean_square() -> None:
    one = numbers([1, 1])
    assert rms_norm(numbers([3, 4]), one, 0) == pytest.approx([3 / sqrt(12.5), 4 / sqrt(12.5)])
    assert rms_norm(numbers([3, 4]), one, 3.5) == pytest.approx([0.75, 1])
    assert rms_norm(numbers([3, 4]), numbers([2, 0]), 3.5) == pytest.approx([1.5, 0])


def test_a_layer_norm_takes_the_mean_away_first() -> None:
    found = layer_norm(numbers([1, 3]), numbers([1, 2]), numbers([10, 20]), 0)
    assert found == pytest.approx([9, 22])
    assert layer_norm(numbers([1, 3]), numbers([1, 1]), numbers([0, 0]), 3) == pytest.approx([-0.5, 0.5])


def test_functions_between_layers_have_their_known_values() -> None:
    assert silu(numbers([0, 1, -1])) == pytest.approx([0, 1 / (1 + exp(-1)), -1 / (1 + exp(1))])
    assert gelu(numbers([0, 1, -1, 6])) == pytest.approx([0, 0.8412, -0.1588, 6], abs=1e-4)
    assert softmax(numbers([0, log(3)])) == pytest.approx([0.25, 0.75])
    assert log_softmax(np.array([1000.0, 1000.0 + log(3)])) == pytest.approx([log(0.25), log(0.75)])


@pytest.mark.parametrize(
    ("pairs", "turned"),
    [
        (Pairs.NEIGHBOURS, [cos(1), sin(1), 0, 0]),
        (Pairs.HALVES, [cos(1), 0, sin(1), 0]),
    ],
)
def test_a_rotary_embedding_turns_pairs(pairs: Pairs, turned: list[float]) -> None:
    found = rotate(numbers([[[1.0, 0, 0, 0]] * 2]), 100.0, pairs)
    assert found[0, 0] == pytest.approx([1, 0, 0, 0])
    assert found[0, 1] == pytest.approx(turned)


def test_later_pairs_are_turned_more_slowly() -> None:
    found = rotate(numbers([[[0, 0, 1, 0]] * 4]), 100.0, Pairs.NEIGHBOURS)
    assert found[0, 3] == pytest.approx([0, 0, cos(0.3), sin(0.3)])


@pytest.mark.parametrize("pairs", Pairs)
def test_turned_keys_answer_queries_by_their_distance_only(pairs: Pairs) -> None:
    query, key = some(64, seed=2), some(64, seed=3)
    queries, keys = (rotate(np.tile(one, (1, 20, 1)), 10000.0, pairs)[0] for one in (query, key))
    assert queries[5] @ keys[2] == pytest.approx(queries[19] @ keys[16], rel=1e-4)
    assert abs(queries[5] @ keys[2] - queries[5] @ keys[4]) > 1e-3
    assert np.linalg.norm(queries, axis=1) == pytest.approx([np.linalg.norm(query)] * 20, rel=1e-5)


def test_attention_of_equal_keys_is_the_mean_of_the_values() -> None:
    values = some(1, 5, 2)
    found = attend(some(1, 5, 2), np.zeros((1, 5, 2), np.float32), values, causal=False)
    assert found == pytest.approx(np.tile(values[0].mean(axis=0), (5, 1)), abs=1e-6)
    found = attend(some(1, 5, 2), np.zeros((1, 5, 2), np.float32), values, causal=True)
    assert found == pytest.approx(np.cumsum(values[0], axis=0) / np.arange(1, 6)[:, None], abs=1e-6)


def test_scores_are_divided_by_the_root_of_the_width() -> None:
    queries = numbers([[[2, 0, 0, 0], [0.0, 0.0, 0.0, 0.0]]])
    keys = numbers([[[log(9), 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]]])
    found = attend(queries, keys, numbers([[[1, 0, 0, 0], [0, 1, 0, 0]]]), causal=False)
    assert found[0] == pytest.approx([0.9, 0.1, 0, 0])
    assert found[1] == pytest.approx([0.5, 0.5, 0, 0])


def test_heads_share_keys_in_equal_groups() -> None:
    queries, keys, values = some(4, 3, 8), some(2, 3, 8, seed=2), some(2, 3, 8, seed=3)
    found = attend(queries, keys, values, causal=True)
    for head in range(4):
        one = (part[head // 2 : head // 2 + 1] for part in (keys, values))
        alone = attend(queries[head : head + 1], *one, causal=True)
        assert found[:, head * 8 : head * 8 + 8] == pytest.approx(alone, abs=1e-6)


def test_long_texts_are_computed_in_blocks_that_do_not_show() -> None:
    queries, keys, values = some(1, 1100, 4), some(1, 1100, 4, seed=2), some(1, 1100, 4, seed=3)
    found = attend(queries, keys, values, causal=True)
    scores = queries[0] @ keys[0].T / 2
    scores[np.triu_indices(1100, 1)] = -np.inf
    assert found == pytest.approx(softmax(scores) @ values[0], abs=1e-5)


def test_numbers_of_a_head_stand_together() -> None:
    found = heads(numbers([[1, 2, 3, 4], [5, 6, 7, 8]]), 2)
    assert found.tolist() == [[[1, 2], [5, 6]], [[3, 4], [7, 8]]]

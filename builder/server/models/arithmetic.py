"""What the layers of models compute, in numpy, one line of mathematics each.

It shares nothing with llama.cpp but the definitions: what a CPU and a GPU get wrong alike differs from this.
"""

from __future__ import annotations

from enum import Enum

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float32]
_BLOCK = 512
"""Queries that attend at once: what bounds the memory for long texts."""


class Pairs(Enum):
    """Which two numbers of a head a rotary embedding turns together.

    Attributes:
        NEIGHBOURS: the first with the second, as `llama` models are stored.
        HALVES: each of the first half with its counterpart in the second, as `nomic-bert` models are stored.
    """

    NEIGHBOURS = "neighbours"
    HALVES = "halves"


def rms_norm(x: Numbers, scale: Numbers, epsilon: float) -> Numbers:
    """Each vector divided by the root of its mean square and this much, times a scale."""
    normed: Numbers = x / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + np.float32(epsilon)) * scale
    return normed


def layer_norm(x: Numbers, scale: Numbers, bias: Numbers, epsilon: float) -> Numbers:
    """Each vector without its mean, divided by the root of its variance and this much, times a scale, plus a bias."""
    centred = x - x.mean(axis=-1, keepdims=True)
    variance = np.mean(centred * centred, axis=-1, keepdims=True)
    normed: Numbers = centred / np.sqrt(variance + np.float32(epsilon)) * scale + bias
    return normed


def silu(x: Numbers) -> Numbers:
    """x times its logistic."""
    made: Numbers = x / (1 + np.exp(-x))
    return made


def gelu(x: Numbers) -> Numbers:
    """x times the normal distribution's share below it, by the hyperbolic tangent that approximates it."""
    share = 1 + np.tanh(np.float32((2 / np.pi) ** 0.5) * (x + np.float32(0.044715) * x**3))
    made: Numbers = np.float32(0.5) * x * share
    return made


def rotate(x: Numbers, base: float, pairs: Pairs) -> Numbers:
    """Turn pairs of each head's numbers by their token's place: the first pair fastest, the last by nearly 1 / base.

    Args:
        x: heads, tokens from the first one on, numbers of the head.
    """
    tokens, width = x.shape[-2:]
    speeds = base ** (-np.arange(0, width, 2) / width)
    angles = np.outer(np.arange(tokens), speeds)
    cosine, sine = np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)
    first, second = _paired(width, pairs)
    turned = np.empty_like(x)
    turned[..., first] = x[..., first] * cosine - x[..., second] * sine
    turned[..., second] = x[..., first] * sine + x[..., second] * cosine
    return turned


def _paired(width: int, pairs: Pairs) -> tuple[slice, slice]:
    if pairs is Pairs.NEIGHBOURS:
        return slice(0, width, 2), slice(1, width, 2)
    return slice(0, width // 2), slice(width // 2, width)


def heads(x: Numbers, count: int) -> Numbers:
    """The numbers of tokens by head: heads, tokens, numbers of the head."""
    return x.reshape(len(x), count, -1).transpose(1, 0, 2)


def attend(queries: Numbers, keys: Numbers, values: Numbers, *, causal: bool) -> Numbers:
    """Values weighted by how well the keys answer a query; heads of queries share those of keys in equal groups.

    Args:
        queries: heads, tokens, numbers of the head.
        causal: a token sees itself and those before it only.
    """
    count, tokens, width = queries.shape
    shared = count // len(keys)
    keys, values = np.repeat(keys, shared, axis=0), np.repeat(values, shared, axis=0)
    seen = np.empty((tokens, count * width), np.float32)
    for start in range(0, tokens, _BLOCK):
        block = slice(start, start + _BLOCK)
        last = min(start + _BLOCK, tokens) if causal else tokens
        scores = queries[:, block] @ keys[:, :last].transpose(0, 2, 1) / np.float32(width**0.5)
        if causal:
            scores = np.where(np.tri(scores.shape[1], last, start, dtype=bool), scores, np.float32(-np.inf))
        seen[block] = (softmax(scores) @ values[:, :last]).transpose(1, 0, 2).reshape(-1, count * width)
    return seen


def softmax(x: Numbers) -> Numbers:
    """Exponentials that sum up to 1."""
    powers = np.exp(x - x.max(axis=-1, keepdims=True))
    shares: Numbers = powers / powers.sum(axis=-1, keepdims=True)
    return shares


def log_softmax(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Logarithms of exponentials that sum up to 1."""
    below = x - x.max(axis=-1, keepdims=True)
    logarithms: NDArray[np.float64] = below - np.log(np.exp(below).sum(axis=-1, keepdims=True))
    return logarithms

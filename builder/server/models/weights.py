"""Weights without training.

All come from one pool of numbers with mean 0 and deviation 1: a row of a matrix is a window of the pool, scaled.
So a matrix of any size costs as long as copying it, any row can be had by itself, and the same bytes come out on
every machine: the pool is the sum of integers from a bit generator whose stream numpy keeps stable.
"""

from __future__ import annotations

from functools import cache
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

Half = NDArray[np.float16]
Single = NDArray[np.float32]

_SEED = 20240501
_POOL = 1 << 20
_STRIDE = 7919
"""Distance of two rows in the pool: a prime, so that no window comes twice before all have come."""
_SCALES_SPREAD, _BIASES_SPREAD = 0.2, 0.1


@cache
def _pool() -> Single:
    raw = np.random.PCG64(_SEED).random_raw(_POOL).view(np.uint16).reshape(_POOL, 4)
    total = raw.astype(np.int64).sum(axis=1) - 2 * (2**16 - 1)
    deviation = 2**16 / np.sqrt(3.0)
    pool: Single = (total / deviation).astype(np.float32)
    return pool


class Matrix:
    """A matrix of random numbers, of which any rows can be had.

    Args:
        name: another name, other numbers.
        columns: length of a row.
        deviation: standard deviation of the numbers.
    """

    def __init__(self, name: str, columns: int, deviation: float) -> None:
        self._start = crc32(name.encode())
        self._windows = np.lib.stride_tricks.sliding_window_view((_pool() * np.float32(deviation)), columns)

    def rows(self, numbers: NDArray[np.int64] | range) -> Single:
        """The rows with these numbers, in their order."""
        places = (self._start + np.asarray(numbers, dtype=np.int64) * _STRIDE) % len(self._windows)
        return self._windows[places]


def matrix(name: str, rows: int, columns: int, gain: float = 1.0) -> Half:
    """A matrix that makes of a vector with deviation 1 one with deviation `gain`."""
    return Matrix(name, columns, gain / columns**0.5).rows(range(rows)).astype(np.float16)


def scales(name: str, length: int) -> Single:
    """What a norm multiplies with: numbers around 1, so that a norm that leaves them out computes something else."""
    found: Single = np.float32(1) + Matrix(name, length, _SCALES_SPREAD).rows(range(1))[0]
    return found


def biases(name: str, length: int) -> Single:
    """What is added to each vector: small beside numbers with deviation 1, and not nothing."""
    found: Single = Matrix(name, length, _BIASES_SPREAD).rows(range(1))[0]
    return found

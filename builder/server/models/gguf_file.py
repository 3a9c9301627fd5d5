"""Writing a GGUF file one tensor at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from builder.server.models.weights import Half, Single, biases, scales

if TYPE_CHECKING:
    from gguf import GGUFWriter

_HALF, _SINGLE = np.dtype(np.float16), np.dtype(np.float32)


@dataclass(frozen=True)
class Tensor:
    """A tensor that is not made yet.

    Attributes:
        shape: rows and columns, or length.
        make: makes its numbers.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[np.float16] | np.dtype[np.float32]
    make: Callable[[], Half | Single]

    @property
    def size(self) -> int:
        """Bytes."""
        return int(np.prod(self.shape)) * self.dtype.itemsize


def half(name: str, rows: int, columns: int, make: Callable[[], Half]) -> Tensor:
    """A matrix of half precision."""
    return Tensor(name, (rows, columns), _HALF, make)


def single(name: str, shape: tuple[int, ...], make: Callable[[], Single]) -> Tensor:
    """A tensor of single precision."""
    return Tensor(name, shape, _SINGLE, make)


def norm_scales(name: str, length: int) -> Tensor:
    """What a norm multiplies with; half precision is not taken for norms."""
    return single(name, (length,), partial(scales, name, length))


def bias(name: str, length: int) -> Tensor:
    """What is added after a multiplication or a norm."""
    return single(name, (length,), partial(biases, name, length))


def write_file(file: Path, writer: GGUFWriter, tensors: Iterable[Tensor]) -> None:
    """Write keys and tensors; no more than one tensor is in memory at a time."""
    planned = list(tensors)
    for tensor in planned:
        writer.add_tensor_info(tensor.name, tensor.shape, tensor.dtype, tensor.size)
    try:
        writer.write_header_to_file(file)
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        for tensor in planned:
            writer.write_tensor_data(np.ascontiguousarray(tensor.make()))
    finally:
        writer.close()

"""What made models compute, without a server: the architectures `llama`, `bert` and `nomic-bert` in numpy.

Everything is computed in single precision from the weights as the file has them, with no cache and no batches, by one
thread: two are no faster, and far slower where a server computes beside them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from builder.server.models import bert, llama
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
)
from builder.server.models.gguf_file import Tensor
from builder.server.models.shape import ModelKind, Shape

Pooling = Literal["mean", "cls", "last"]
_THREADS = 1


class LlamaReference:
    """A made `llama` model.

    Args:
        shape: its sizes.

    Attributes:
        weights: by the names of the file's tensors.
    """

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self.weights = _weights(llama.tensors(shape))

    def log_probabilities(self, tokens: Sequence[int], last: int) -> NDArray[np.float64]:
        """Logarithms of the probability of each token of the vocabulary to be the next.

        Args:
            tokens: a text from its start.
            last: for how many of the places at its end.

        Returns:
            A row for each of these places: what is expected after the token that is there.
        """
        with threadpool_limits(_THREADS):
            x = self.weights["token_embd.weight"][np.asarray(tokens)]
            for layer in range(self.shape.layers):
                x = self._layer(x, f"blk.{layer}.")
            x = rms_norm(x[-last:], self.weights["output_norm.weight"], llama.RMS_EPSILON)
            return log_softmax((x @ self.weights["output.weight"].T).astype(np.float64))

    def _layer(self, x: Numbers, block: str) -> Numbers:
        shape = self.shape

        def linear(vectors: Numbers, name: str) -> Numbers:
            return vectors @ self.weights[f"{block}{name}.weight"].T

        normed = rms_norm(x, self.weights[f"{block}attn_norm.weight"], llama.RMS_EPSILON)
        queries = rotate(heads(linear(normed, "attn_q"), shape.heads), llama.ROPE_BASE, Pairs.NEIGHBOURS)
        keys = rotate(heads(linear(normed, "attn_k"), shape.kv_heads), llama.ROPE_BASE, Pairs.NEIGHBOURS)
        values = heads(linear(normed, "attn_v"), shape.kv_heads)
        x = x + linear(attend(queries, keys, values, causal=True), "attn_output")
        normed = rms_norm(x, self.weights[f"{block}ffn_norm.weight"], llama.RMS_EPSILON)
        return x + linear(silu(linear(normed, "ffn_gate")) * linear(normed, "ffn_up"), "ffn_down")


class BertReference:
    """A made `bert` or `nomic-bert` model.

    Args:
        shape: its sizes.
        kind: which of the two.

    Attributes:
        weights: by the names of the file's tensors.
    """

    def __init__(self, shape: Shape, kind: ModelKind) -> None:
        self.shape = shape
        self.kind = kind
        self.weights = _weights(bert.tensors(shape, kind))

    def embed(self, tokens: Sequence[int], pooling: Pooling = "mean") -> NDArray[np.float64]:
        """The vector of a text, of length 1.

        Args:
            tokens: the text, with the marks of its start and end.
            pooling: how the tokens' vectors become one: their mean, the first one or the last one.
        """
        with threadpool_limits(_THREADS):
            x = self._embedding(tokens)
            for layer in range(self.shape.layers):
                x = self._layer(x, f"blk.{layer}.")
        pooled = _pooled(x, pooling).astype(np.float64)
        vector: NDArray[np.float64] = pooled / np.linalg.norm(pooled)
        return vector

    def _layer(self, x: Numbers, block: str) -> Numbers:
        attended = attend(*self._attention_inputs(x, block), causal=False)
        x = self._norm(x + self._linear(attended, f"{block}attn_output"), f"{block}attn_output_norm")
        up = self._linear(x, f"{block}ffn_up")
        inner = gelu(up) if self.kind is ModelKind.BERT else silu(self._linear(x, f"{block}ffn_gate")) * up
        return self._norm(x + self._linear(inner, f"{block}ffn_down"), f"{block}layer_output_norm")

    def _embedding(self, tokens: Sequence[int]) -> Numbers:
        x = self.weights["token_embd.weight"][np.asarray(tokens)] + self.weights["token_types.weight"][0]
        if self.kind is ModelKind.BERT:
            x = x + self.weights["position_embd.weight"][: len(tokens)]
        return self._norm(x, "token_embd_norm")

    def _attention_inputs(self, x: Numbers, block: str) -> tuple[Numbers, Numbers, Numbers]:
        shape = self.shape
        if self.kind is ModelKind.BERT:
            flat = [self._linear(x, f"{block}attn_{name}") for name in "qkv"]
        else:
            ends = (shape.width, shape.width + shape.kv_width)
            flat = np.split(self._linear(x, f"{block}attn_qkv"), ends, axis=-1)
        queries, keys = heads(flat[0], shape.heads), heads(flat[1], shape.kv_heads)
        if self.kind is ModelKind.NOMIC_BERT:
            queries, keys = (rotate(one, bert.ROPE_BASE, Pairs.HALVES) for one in (queries, keys))
        return queries, keys, heads(flat[2], shape.kv_heads)

    def _linear(self, x: Numbers, name: str) -> Numbers:
        product = x @ self.weights[f"{name}.weight"].T
        bias = self.weights.get(f"{name}.bias")
        return product if bias is None else product + bias

    def _norm(self, x: Numbers, name: str) -> Numbers:
        return layer_norm(x, self.weights[f"{name}.weight"], self.weights[f"{name}.bias"], bert.NORM_EPSILON)


def _pooled(x: Numbers, pooling: Pooling) -> Numbers:
    pooled: Numbers = {"mean": x.mean(axis=0), "cls": x[0], "last": x[-1]}[pooling]
    return pooled


def _weights(tensors: Iterable[Tensor]) -> Mapping[str, Numbers]:
    return {tensor.name: tensor.make().astype(np.float32) for tensor in tensors}

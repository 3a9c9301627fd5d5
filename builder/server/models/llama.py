"""A `llama` model that speaks for ever, repeats itself only once it has said all it knows, and can be foretold.

The text tokens form one ring: of each the embedding is, scaled, the row of the output matrix of the next, so the next
one wins by far as long as a token's own embedding survives the layers. Their contributions are random, as strong as
the embedding together and different for every context: they decide how probable the winner is and which tokens come
after it. An operation that computes something else therefore shows in the probabilities, one that computes rubbish in
the words, and rounding in neither.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from math import log, sqrt
from typing import TYPE_CHECKING

import numpy as np

from builder.server.models.gguf_file import Tensor, half, norm_scales
from builder.server.models.shape import Shape
from builder.server.models.vocabulary import CHAT_TEMPLATE, Vocabulary, sentence_pieces
from builder.server.models.weights import Half, Matrix, matrix

if TYPE_CHECKING:
    from gguf import GGUFWriter

RMS_EPSILON = 0.1
"""Large, against the 1e-5 of real models: where it is left out or another one is taken, it shows."""
ROPE_BASE = 10000.0
_LAYERS_SHARE = 1.6
"""Strength of all that the layers add, against the embedding's."""
_SHARPNESS = 1.7
"""Gain of queries and keys: attention looks at a few tokens, not at the mean of all."""
_MARGIN = 1.5
"""How far above the logarithm of the vocabulary's size the winner's logit is."""


def write(writer: GGUFWriter, shape: Shape) -> Iterator[Tensor]:
    """Set the keys of the file and give its tensors."""
    vocabulary = sentence_pieces(shape.vocabulary)
    _set_keys(writer, shape)
    _set_tokenizer(writer, vocabulary)
    yield from tensors(shape)


def tensors(shape: Shape) -> Iterator[Tensor]:
    """The tensors of the file, in its order."""
    first_word = sentence_pieces(shape.vocabulary).first_word
    embedding = Matrix("token_embd", shape.width, 1.0)
    yield half("token_embd.weight", shape.vocabulary, shape.width, lambda: _embedding(embedding, shape))
    yield norm_scales("output_norm.weight", shape.width)
    for layer in range(shape.layers):
        yield from _layer(f"blk.{layer}.", shape)
    yield half("output.weight", shape.vocabulary, shape.width, lambda: _output(embedding, shape, first_word))


def _embedding(embedding: Matrix, shape: Shape) -> Half:
    return embedding.rows(range(shape.vocabulary)).astype(np.float16)


def _output(embedding: Matrix, shape: Shape, first_word: int) -> Half:
    """The row of a token is the embedding of the one that it comes after, or the sum of two (`Vocabulary.after`)."""
    words = np.arange(first_word, shape.vocabulary)
    before = np.where(words == first_word, shape.vocabulary - 1, words - 1)
    rows = np.zeros((shape.vocabulary, shape.width), np.float32)
    rows[first_word:] = embedding.rows(before)
    rows[first_word + 1 : 2 * first_word + 1] += embedding.rows(range(first_word))
    survives = 1 / sqrt(1 + _LAYERS_SHARE**2)
    rows *= np.float32((log(shape.vocabulary) + _MARGIN) / survives / shape.width)
    return rows.astype(np.float16)


def _layer(block: str, shape: Shape) -> Iterator[Tensor]:
    share = _LAYERS_SHARE / sqrt(2 * shape.layers)
    width, inner = shape.width, shape.inner
    yield norm_scales(f"{block}attn_norm.weight", width)
    for name, rows, columns, gain in (
        ("attn_q", width, width, _SHARPNESS),
        ("attn_k", shape.kv_width, width, _SHARPNESS),
        ("attn_v", shape.kv_width, width, 1.0),
        ("attn_output", width, width, share / 0.6),
    ):
        yield _random(f"{block}{name}", rows, columns, gain)
    yield norm_scales(f"{block}ffn_norm.weight", width)
    for name, rows, columns, gain in (
        ("ffn_gate", inner, width, 1.0),
        ("ffn_up", inner, width, 1.0),
        ("ffn_down", width, inner, share / 0.6),
    ):
        yield _random(f"{block}{name}", rows, columns, gain)


def _random(name: str, rows: int, columns: int, gain: float) -> Tensor:
    make: Callable[[], Half] = partial(matrix, name, rows, columns, gain)
    return half(f"{name}.weight", rows, columns, make)


def _set_keys(writer: GGUFWriter, shape: Shape) -> None:
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.inner)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_layer_norm_rms_eps(RMS_EPSILON)
    writer.add_rope_dimension_count(shape.head_width)
    writer.add_rope_freq_base(ROPE_BASE)
    writer.add_vocab_size(shape.vocabulary)


def _set_tokenizer(writer: GGUFWriter, vocabulary: Vocabulary) -> None:
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(list(vocabulary.tokens))
    writer.add_token_scores(list(vocabulary.scores))
    writer.add_token_types(list(vocabulary.types))
    writer.add_unk_token_id(vocabulary["<unk>"])
    writer.add_bos_token_id(vocabulary["<s>"])
    writer.add_eos_token_id(vocabulary["</s>"])
    writer.add_add_bos_token(True)
    writer.add_chat_template(CHAT_TEMPLATE)

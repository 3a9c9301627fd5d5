"""`bert` and `nomic-bert` models: like texts get like vectors, unlike ones do not."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from builder.server.models.gguf_file import Tensor, bias, half, norm_scales, single
from builder.server.models.shape import ModelKind, Shape
from builder.server.models.vocabulary import Vocabulary, word_pieces
from builder.server.models.weights import Half, Matrix, Single, matrix

if TYPE_CHECKING:
    from gguf import GGUFWriter

NORM_EPSILON = 0.1
"""Large, against the 1e-12 of real models: where it is left out or another one is taken, it shows."""
ROPE_BASE = 1000.0
"""Of `nomic-bert`, whose tokens have no other place."""
_LAYER = 0.5
"""Strength of what one half of a layer adds to what came in."""
_PLACE = 0.3
"""Strength of a token's place against the token."""


def write(writer: GGUFWriter, shape: Shape, kind: ModelKind) -> Iterator[Tensor]:
    """Set the keys of the file and give its tensors."""
    _set_keys(writer, shape, kind)
    _set_tokenizer(writer, word_pieces(shape.vocabulary))
    yield from tensors(shape, kind)


def tensors(shape: Shape, kind: ModelKind) -> Iterator[Tensor]:
    """The tensors of the file, in its order."""
    width = shape.width
    yield half("token_embd.weight", shape.vocabulary, width, partial(_halves, "token_embd", shape.vocabulary, width))
    yield single("token_types.weight", (2, width), partial(_singles, "token_types", 2, width))
    if kind is ModelKind.BERT:
        yield single("position_embd.weight", (shape.context, width), partial(_singles, "place", shape.context, width))
    yield from _norm("token_embd_norm", width)
    for layer in range(shape.layers):
        block = f"blk.{layer}."
        yield from _attention(block, shape, kind)
        yield from _norm(f"{block}attn_output_norm", width)
        yield from _network(block, shape, kind)
        yield from _norm(f"{block}layer_output_norm", width)


def _attention(block: str, shape: Shape, kind: ModelKind) -> Iterator[Tensor]:
    width, kv = shape.width, shape.kv_width
    biased = kind is ModelKind.BERT
    if biased:
        yield from _linear(f"{block}attn_q", width, width, 1.5, biased)
        yield from _linear(f"{block}attn_k", kv, width, 1.5, biased)
        yield from _linear(f"{block}attn_v", kv, width, 1.0, biased)
    else:
        yield from _linear(f"{block}attn_qkv", width + 2 * kv, width, 1.5, biased)
    yield from _linear(f"{block}attn_output", width, width, _LAYER, biased)


def _network(block: str, shape: Shape, kind: ModelKind) -> Iterator[Tensor]:
    biased = kind is ModelKind.BERT
    yield from _linear(f"{block}ffn_up", shape.inner, shape.width, 1.0, biased)
    if not biased:
        yield from _linear(f"{block}ffn_gate", shape.inner, shape.width, 1.0, biased)
    yield from _linear(f"{block}ffn_down", shape.width, shape.inner, _LAYER, biased)


def _linear(name: str, rows: int, columns: int, gain: float, biased: bool) -> Iterator[Tensor]:
    yield half(f"{name}.weight", rows, columns, partial(matrix, name, rows, columns, gain))
    if biased:
        yield bias(f"{name}.bias", rows)


def _norm(name: str, length: int) -> Iterator[Tensor]:
    yield norm_scales(f"{name}.weight", length)
    yield bias(f"{name}.bias", length)


def _halves(name: str, rows: int, columns: int) -> Half:
    return matrix(name, rows, columns, columns**0.5)


def _singles(name: str, rows: int, columns: int) -> Single:
    return Matrix(name, columns, _PLACE).rows(range(rows))


def _set_keys(writer: GGUFWriter, shape: Shape, kind: ModelKind) -> None:
    from gguf import PoolingType

    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.inner)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_layer_norm_eps(NORM_EPSILON)
    writer.add_causal_attention(False)
    writer.add_pooling_type(PoolingType.MEAN)
    if kind is ModelKind.NOMIC_BERT:
        writer.add_rope_freq_base(ROPE_BASE)


def _set_tokenizer(writer: GGUFWriter, vocabulary: Vocabulary) -> None:
    writer.add_token_type_count(2)
    writer.add_tokenizer_model("bert")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(list(vocabulary.tokens))
    writer.add_token_types(list(vocabulary.types))
    writer.add_unk_token_id(vocabulary["[UNK]"])
    writer.add_sep_token_id(vocabulary["[SEP]"])
    writer.add_pad_token_id(vocabulary["[PAD]"])
    writer.add_mask_token_id(vocabulary["[MASK]"])
    writer.add_uint32("tokenizer.ggml.cls_token_id", vocabulary["[CLS]"])
    writer.add_bos_token_id(vocabulary["[CLS]"])
    writer.add_eos_token_id(vocabulary["[SEP]"])

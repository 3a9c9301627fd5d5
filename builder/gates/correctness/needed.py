"""What serving computes: the operations of upstream's tests that it comes down to, and which of their cases."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from builder.gates.serving.trial import Trial

if TYPE_CHECKING:
    from gguf import GGUFReader

_EVERYWHERE = ("GET_ROWS", "MUL_MAT", "ADD", "MUL", "CONT", "CPY", "ROPE", "SOFT_MAX")
"""Rows of the embedding, every matrix, biases and residuals, norms' weights, reshaped tensors, writing to the cache and
reading from it, positions, attention without its own kernel."""
_CHAT = ("RMS_NORM", "SILU", "SCALE")
_EMBEDDING = ("NORM", "GELU")
_LATER = ("SET_ROWS", "SWIGLU")
"""What writes to the cache, and the gate of a feed-forward network, since the summer of 2025; CPY and SILU before."""
_EXPERTS = ("MUL_MAT_ID", "ARGSORT", "SUM_ROWS")
_FUSED = (
    *("RMS_NORM_MUL_ADD", "RMS_NORM_MUL_ROPE", "ROPE_SET_ROWS", "ADD_RMS_NORM", "ADD_ADD", "NORM_MUL_ADD"),
    *("MUL_MAT_VEC_FUSION", "MUL_MAT_HADAMARD", "TOPK_MOE"),
)
"""Several operations that a GPU computes as one; their names are the tests' own, which `--list-ops` leaves out."""
_ATTENTION = "FLASH_ATTN_EXT"
_SLOW = ("MUL_MAT", "MUL_MAT_ID", _ATTENTION)
_ON_CPU = ("RMS_NORM_MUL_ADD", "RMS_NORM_MUL_ROPE")
_PLAIN = frozenset({"f32", "f16"})
_USUAL_WEIGHTS = frozenset({"f16", "q8_0", "q4_K", "q6_K"})
"""What stands for a user's model where a tiny one is served: whole, and the most usual quantisations."""
_USUAL_HEAD = (64, 64)
"""Widths of keys and values for which the tests try every type of the cache."""


@dataclass(frozen=True)
class ModelFacts:
    """What of a model decides what is computed.

    Attributes:
        architecture: in llama.cpp's words.
        weights: types of its tensors, as the tests name them, such as `q4_K`.
        head: widths of a head's keys and values.
        experts: whether it has any.
    """

    architecture: str
    weights: frozenset[str]
    head: tuple[int, int]
    experts: bool


@dataclass(frozen=True)
class Operations:
    """What is asked of `test-backend-ops`.

    Attributes:
        needed: operations without which nothing is served.
        later: operations that serving needs where the program knows them.
        fused: further names that it may know or not.
        pattern: of the parameters of their cases, an ECMAScript regular expression.
    """

    needed: tuple[str, ...]
    later: tuple[str, ...]
    fused: tuple[str, ...]
    pattern: str

    def groups(self) -> tuple[tuple[str, ...], ...]:
        """All of them in the order in which they are to be tried, those that take long by themselves and last."""
        every = (*self.needed, *self.later, *self.fused)
        quick = tuple(name for name in every if name not in _SLOW)
        return (*((quick,) if quick else ()), *((name,) for name in _SLOW if name in every))


def operations_of(trials: Sequence[Trial], models: Sequence[ModelFacts]) -> Operations:
    """What a GPU has to compute for these profiles with these models."""
    kinds = {trial.profile.kind for trial in trials}
    by_kind: Mapping[str, tuple[str, ...]] = {"chat": _CHAT, "embedding": _EMBEDDING}
    attention = (_ATTENTION,) if any(trial.profile.flash_attention for trial in trials) else ()
    experts = _EXPERTS if any(model.experts for model in models) else ()
    own = [name for kind, names in by_kind.items() if kind in kinds for name in names]
    caches: set[str] = {name for one in trials for name in (one.profile.cache_type_k, one.profile.cache_type_v)}
    weights = frozenset().union(*(model.weights for model in models))
    return Operations(
        needed=(*_EVERYWHERE, *own, *experts, *attention),
        later=_LATER,
        fused=_FUSED,
        pattern=_pattern(weights, caches, {_USUAL_HEAD, *(model.head for model in models)}),
    )


def operations_on_cpu(trials: Sequence[Trial], models: Sequence[ModelFacts]) -> Operations | None:
    """What a CPU computes otherwise than its plain way of computing, which it is compared with; None for nothing.

    That is attention over a cache that is not quantised, in tiles or in parts, and norms that are scaled at once
    (upstream's `use_ref`). All else it would compare with itself.
    """
    if not any(trial.profile.flash_attention for trial in trials):
        return None
    heads = {_USUAL_HEAD, *(model.head for model in models)}
    return Operations((_ATTENTION,), (), _ON_CPU, _pattern(frozenset(), {"f16"}, heads))


def read_model(trial: Trial) -> ModelFacts | None:
    """What is known of the model that a profile serves; None where its file cannot be read."""
    from gguf import GGUFReader

    try:
        found = _facts(GGUFReader(trial.model.path))
    except (OSError, ValueError, KeyError, IndexError, TypeError):
        return None
    if trial.model.made is None and found.weights:
        return found
    return ModelFacts(found.architecture, found.weights | _USUAL_WEIGHTS, found.head, found.experts)


def tensor_type(name: str) -> str:
    """The name that the tests give a type which a GGUF reader calls `Q4_K`."""
    return name.lower().replace("_k", "_K") if name.startswith("Q") else name.lower()


def _facts(reader: GGUFReader) -> ModelFacts:
    architecture = str(_value(reader, "general.architecture"))

    def number(name: str, default: int = 0) -> int:
        value = _value(reader, f"{architecture}.{name}")
        return default if value is None else int(max(value) if isinstance(value, Sequence) else value)

    width = number("embedding_length") // max(1, number("attention.head_count", 1))
    keys = number("attention.key_length", width)
    return ModelFacts(
        architecture=architecture,
        weights=frozenset(tensor_type(tensor.tensor_type.name) for tensor in reader.tensors),
        head=(keys, number("attention.value_length", width)),
        experts=number("expert_count") > 0,
    )


def _value(reader: GGUFReader, name: str) -> Any:
    field = reader.get_field(name)
    return None if field is None else field.contents()


def _pattern(weights: frozenset[str], caches: set[str], heads: set[tuple[int, int]]) -> str:
    """Cases of the types and widths that are served, and of sizes that a slow CPU can compute for comparison.

    The program compares the pattern with the parameters alone, so that one of matrices must not match those of other
    operations; what begins otherwise than any of them is taken as it is.
    """
    stored = _any(_PLAIN | caches)
    every = _any(_PLAIN | caches | weights)
    widths = _any(f"hsk?={keys},(?:hsv={values},)?" for keys, values in heads)
    return "|".join(
        (
            r"^(?!type|hs)",
            rf"^type={every},(?!ne_a=\[[\d,]*\d{{4}})(?!.*[=\[,]\d{{5}})",
            rf"^type_src={every},type_dst={every},",
            rf"^type_a={_any(_PLAIN | weights)},(?:.*,)?m=\d{{1,4}},n=\d{{1,3}},k=\d{{1,4}}\b",
            rf"^{widths}(?:.*,)?kv=(?:\d{{1,3}}|10\d\d),nb=\d{{1,2}},(?:.*,)?type_KV?={stored},(?:type_V={stored},)?",
        )
    )


def _any(words: Iterable[str]) -> str:
    return f"(?:{'|'.join(sorted(words))})"

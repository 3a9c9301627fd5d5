"""What made models compute, by numpy, and by what real servers answered."""

from __future__ import annotations

from math import exp, log
from pathlib import Path

import numpy as np
import pytest
from gguf import GGUFReader

from builder.gates.correctness.comparison import compare
from builder.gates.correctness.expected import Foretold, foretold
from builder.gates.correctness.questions import Question
from builder.gates.correctness.tolerances import EXACT, VECTOR
from builder.server.answers import Vectors
from builder.server.foresight import Foreseen
from builder.server.models import bert, llama
from builder.server.models.make import make_model
from builder.server.models.reference import BertReference, LlamaReference, Pooling
from builder.server.models.shape import TINY, ModelKind, Shape

DATA = Path(__file__).parent / "data" / "foresight"
PROMPT = (300, 301, 302)


@pytest.fixture(scope="module")
def model() -> Foretold:
    return foretold()


@pytest.fixture(scope="module")
def reference() -> LlamaReference:
    return LlamaReference(TINY[ModelKind.LLAMA])


@pytest.mark.parametrize("kind", ModelKind)
def test_the_weights_are_those_of_the_file(tmp_path: Path, kind: ModelKind) -> None:
    shape = TINY[kind]
    made = {tensor.name: tensor.data for tensor in GGUFReader(make_model(kind, tmp_path).path).tensors}
    ours = list(llama.tensors(shape) if kind is ModelKind.LLAMA else bert.tensors(shape, kind))
    assert made.keys() == {tensor.name for tensor in ours}
    for tensor in ours:
        assert np.array_equal(made[tensor.name], tensor.make()), tensor.name


def test_norms_and_biases_are_none_that_could_be_left_out(tmp_path: Path) -> None:
    for kind in ModelKind:
        for tensor in GGUFReader(make_model(kind, tmp_path).path).tensors:
            assert float(np.std(tensor.data.astype(np.float32))) > 0.01, tensor.name


@pytest.mark.parametrize("era", ["2024-07", "2024-10", "2026-10"])
def test_a_real_server_says_what_numpy_computes(model: Foretold, era: str) -> None:
    answer = Foreseen.model_validate_json((DATA / f"completion-{era}.json").read_bytes())
    said = model.numbered(answer.steps)
    assert [step.token for step in said] == [303, 304]
    assert {type(token) for step in said for token in step.likely} == {int}
    compared = compare(model.answer(Question(PROMPT, "3 tokens"))[:2], said, EXACT)
    assert len(compared.differences) >= 6
    assert compared.within(EXACT)
    assert compared.most < 0.01


@pytest.mark.parametrize("kind", [ModelKind.BERT, ModelKind.NOMIC_BERT])
def test_a_real_server_gives_the_vectors_that_numpy_computes(kind: ModelKind) -> None:
    (said,) = Vectors.model_validate_json((DATA / f"embeddings-{kind}-2026-10.json").read_bytes()).data
    expected = BertReference(TINY[kind], kind).embed((2, *PROMPT, 3))
    assert 1 - float(expected @ np.array(said.embedding)) < VECTOR.mean
    assert np.abs(expected - said.embedding).max() < 5e-4


def test_probabilities_are_shares_of_one(reference: LlamaReference) -> None:
    rows = reference.log_probabilities(PROMPT, 3)
    assert rows.shape == (3, 2048)
    assert np.exp(rows).sum(axis=1) == pytest.approx([1, 1, 1])


def test_what_comes_later_changes_nothing_and_what_came_before_does(reference: LlamaReference) -> None:
    short = reference.log_probabilities((400, 500, 600), 3)
    longer = reference.log_probabilities((400, 500, 600, 700), 4)
    assert longer[:3] == pytest.approx(short, abs=1e-4)
    other = reference.log_probabilities((500, 400, 600), 1)
    assert np.abs(other[0] - short[2]).max() > 0.1


def test_the_answer_is_foretold_and_ends_where_it_is_not(model: Foretold) -> None:
    steps = model.answer(Question(PROMPT, "3 tokens"))
    assert [step.token for step in steps] == list(range(303, 327))
    assert all(step.likely[step.token] == max(step.likely.values()) for step in steps)
    short = [len(model.answer(Question((token,), "1 token"))) for token in range(300, 500, 7)]
    assert min(short) > 0


def test_vectors_have_length_one_and_depend_on_the_order() -> None:
    for kind in (ModelKind.BERT, ModelKind.NOMIC_BERT):
        reference = BertReference(Shape(kv_heads=4, layers=1), kind)
        one, other = reference.embed((2, 300, 400, 3)), reference.embed((2, 400, 300, 3))
        assert float(one @ one) == pytest.approx(1)
        assert float(one @ other) < 0.9999


def test_poolings_give_different_vectors() -> None:
    reference = BertReference(Shape(kv_heads=4, layers=1), ModelKind.BERT)
    poolings: tuple[Pooling, ...] = ("mean", "cls", "last")
    vectors = [reference.embed((2, 300, 400, 3), pooling) for pooling in poolings]
    assert max(float(vectors[i] @ vectors[j]) for i, j in ((0, 1), (0, 2), (1, 2))) < 0.95


def test_a_model_of_one_layer_that_adds_nothing_is_its_vocabulary() -> None:
    """Without layers the next token's probability is that of the embedding's own product."""
    shape = Shape(layers=1)
    reference = LlamaReference(shape)
    tensors = {tensor.name: tensor.make().astype(np.float64) for tensor in llama.tensors(shape)}
    for name in ("blk.0.attn_output.weight", "blk.0.ffn_down.weight"):
        reference.weights[name][...] = 0
    token = tensors["token_embd.weight"][700]
    normed = token / np.sqrt((token**2).mean() + llama.RMS_EPSILON) * tensors["output_norm.weight"]
    logits = tensors["output.weight"] @ normed
    total = log(sum(exp(logit) for logit in logits))
    assert reference.log_probabilities((700,), 1)[0] == pytest.approx(logits - total, abs=1e-4)

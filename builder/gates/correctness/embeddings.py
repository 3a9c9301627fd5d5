"""Are the vectors of a server for embeddings those that numpy computes?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import fsum, sqrt
from typing import TYPE_CHECKING

from builder.gates.correctness.asking import Answer, Responses, Stand, Vector, ask_for_vectors
from builder.gates.correctness.gpu import not_on_gpu
from builder.gates.correctness.questions import Question, texts
from builder.gates.correctness.tolerances import VECTOR, Tolerance
from builder.gates.finding import Finding, bad, good, unknown
from builder.server.models.shape import TINY
from builder.server.models.vocabulary import word_pieces

if TYPE_CHECKING:
    from builder.server.models.reference import BertReference, Pooling

NAME = "embeddings"
_POOLINGS: tuple[Pooling, ...] = ("mean", "cls", "last")


@dataclass(frozen=True)
class Apart:
    """How far two vectors are from each other.

    Attributes:
        mean: how far their cosine is from 1.
        most: the largest difference of two numbers.
    """

    mean: float
    most: float

    def within(self, tolerance: Tolerance) -> bool:
        """Whether they are the same."""
        return self.mean <= tolerance.mean and self.most <= tolerance.most


def judge_embeddings(stand: Stand) -> Iterator[Finding]:
    """Serve the tiny embedding model as a profile says."""
    from builder.server.models.reference import BertReference

    profile, made = stand.trial.profile, stand.trial.model.made
    if profile.pooling == "rank" or made is None:
        yield unknown(NAME, "A profile with pooling = rank gives no vectors; it is not judged yet.")
        return
    shape = TINY[made.kind]
    questions = texts(profile, word_pieces(shape.vocabulary), shape.context)
    responses = stand.query("as the profile says", ask_for_vectors(questions))
    if isinstance(responses, Finding):
        yield responses
        return
    if stand.trial.on_gpu and (astray := not_on_gpu(NAME, responses.facts)):
        yield astray
        return
    reference = BertReference(shape, made.kind)
    pooling = profile.pooling or "mean"
    yield _judge(responses, reference, pooling, questions)


def apart(expected: Sequence[float], said: Sequence[float]) -> Apart:
    """How far a vector is from what it should be."""
    lengths = sqrt(_product(expected, expected) * _product(said, said)) or 1.0
    most = max(abs(a - b) for a, b in zip(expected, said, strict=True))
    return Apart(1 - _product(expected, said) / lengths, most)


def judge_vectors(
    answers: Sequence[Answer[Vector]], expected: Mapping[Question, Vector], tolerance: Tolerance, passed: str
) -> tuple[Finding, Answer[Vector] | None]:
    """Are these vectors what they should be? Also the first that is not.

    Args:
        passed: what is said where they are.
    """
    sizes = {len(vector) for vector in expected.values()}
    strange = next((answer for answer in answers if len(answer.said) not in sizes), None)
    if strange:
        return bad(NAME, f"A vector has {len(strange.said)} numbers instead of {min(sizes)}."), strange
    found = [(answer, apart(expected[answer.question], answer.said)) for answer in answers]
    figures = {
        "embeddings_cosine_off": float(f"{max(one.mean for _, one in found):.2e}"),
        "embeddings_most": float(f"{max(one.most for _, one in found):.2e}"),
    }
    wrong = [(answer, one) for answer, one in found if not one.within(tolerance)]
    if not wrong:
        shown = f"1 - cosine is {figures['embeddings_cosine_off']:.1e} at most, numbers differ by "
        detail = f"{passed}: of {len(answers)} vectors, {shown}{figures['embeddings_most']:.1e} at most."
        return good(NAME, detail, figures), None
    answer, off = wrong[0]
    company = "asked for together with others" if answer.together else "asked for alone"
    detail = (
        f"The vector of a text of {answer.question.size}, {company}, is another one: 1 - cosine is {off.mean:.1e}, "
        f"numbers differ by {off.most:.1e}; {tolerance.mean:g} and {tolerance.most:g} may be. "
        f"{len(wrong)} of {len(answers)} vectors are wrong."
    )
    if all(one.together for one, _ in wrong):
        detail += " Whatever was asked for alone is right."
    return Finding(bad(NAME, detail).check, figures), answer


def _judge(
    responses: Responses[Vector], reference: BertReference, pooling: Pooling, questions: Sequence[Question]
) -> Finding:
    expected = {question: _right(reference, question, pooling) for question in questions}
    finding, wrong = judge_vectors(responses.answers, expected, VECTOR, "They are what numpy computes")
    if wrong is None:
        return finding
    for other in _POOLINGS:
        if other != pooling and apart(_right(reference, wrong.question, other), wrong.said).within(VECTOR):
            hint = f"It is the one that pooling = {other} gives; the profile asks for {pooling}."
            return bad(NAME, f"{finding.check.detail} {hint}", (), finding.measurements)  # type: ignore[arg-type]
    return finding


def _right(reference: BertReference, question: Question, pooling: Pooling) -> Vector:
    tokens = [token for token in question.prompt if isinstance(token, int)]
    return tuple(reference.embed(tokens, pooling).tolist())


def _product(left: Sequence[float], right: Sequence[float]) -> float:
    return fsum(a * b for a, b in zip(left, right, strict=True))

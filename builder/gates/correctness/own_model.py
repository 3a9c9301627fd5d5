"""A user's own model: nothing foretells what it computes, so a GPU is compared with the same image's CPU backend."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from builder.gates.correctness.asking import Responses, Stand, Vector, ask_for_tokens, ask_for_vectors
from builder.gates.correctness.embeddings import judge_vectors
from builder.gates.correctness.gpu import cpu, reference_of
from builder.gates.correctness.judged import Steps
from builder.gates.correctness.questions import written
from builder.gates.correctness.tolerances import OWN_MODEL, OWN_VECTOR
from builder.gates.finding import Finding

NAME = "own-model"
AS_TOLD = "with the profile's own model"
_PATIENCE = 600.0
"""Seconds for one answer: a CPU makes few tokens a second with a large model."""


def judge_own_model(stand: Stand) -> Iterator[Finding]:
    """Compare a GPU with the CPU on the profile's own model."""
    patient = replace(stand, patience=_PATIENCE)
    yield _vectors(patient) if stand.trial.profile.embeddings else _words(patient)


def _words(stand: Stand) -> Finding:
    ask = ask_for_tokens(written())
    served = stand.query(AS_TOLD, ask)
    if isinstance(served, Finding):
        return served

    def again(other: Stand, label: str) -> Responses[Steps] | Finding:
        return other.query(label, ask)

    return _named(cpu(stand, served, again, OWN_MODEL))


def _vectors(stand: Stand) -> Finding:
    ask = ask_for_vectors(written())
    served: Responses[Vector] | Finding = stand.query(AS_TOLD, ask)
    if isinstance(served, Finding):
        return served

    def again(other: Stand, label: str) -> Responses[Vector] | Finding:
        return other.query(label, ask)

    reference = reference_of(NAME, stand, served, again)
    if isinstance(reference, Finding):
        return reference
    expected = {answer.question: answer.said for answer in reference.answers if not answer.together}
    finding, _ = judge_vectors(served.answers, expected, OWN_VECTOR, "The GPU computes what the CPU does")
    return _named(finding)


def _named(finding: Finding) -> Finding:
    return Finding(replace(finding.check, name=NAME), finding.measurements)

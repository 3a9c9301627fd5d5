"""Answers held against what is expected, and what is said of those that differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from builder.gates.correctness.asking import Answer, Responses
from builder.gates.correctness.comparison import Compared, Spelling, compare, described, excerpt
from builder.gates.correctness.questions import TOKENS
from builder.gates.correctness.tolerances import Tolerance
from builder.gates.finding import Finding, bad, good
from builder.gates.verdict import unjudged
from builder.server.foresight import Step

Steps = tuple[Step, ...]
LEAST = TOKENS // 4
"""Tokens that have to be compared of an answer, in the mean of all: two tokens that are equally probable end it."""


@dataclass(frozen=True)
class Case:
    """An answer and what it should be.

    Attributes:
        label: how the server was started.
    """

    label: str
    answer: Answer[Steps]
    expected: Steps
    tolerance: Tolerance


@dataclass(frozen=True)
class Ruling:
    """A case, and what came of it."""

    case: Case
    compared: Compared

    @property
    def right(self) -> bool:
        """Whether the answer is what it should be, within its tolerance."""
        return self.compared.within(self.case.tolerance)


def pairs(
    expected: Responses[Steps], said: Responses[Steps], alone: Tolerance, together: Tolerance
) -> tuple[Case, ...]:
    """Two servers' answers to the same questions.

    Args:
        alone: what may be between answers that were asked for one after another.
        together: what may be between those that were asked for at once.
    """
    return tuple(
        Case(said.label, answer, right.said, together if answer.together else alone)
        for right, answer in zip(expected.answers, said.answers, strict=True)
    )


def judge_cases(name: str, cases: Sequence[Case], passed: str, spell: Spelling = str) -> Finding:
    """Are all answers what they should be?

    Args:
        passed: what is said where they are.
        spell: a token's text.
    """
    rulings = [Ruling(case, compare(case.expected, case.answer.said, case.tolerance, spell)) for case in cases]
    figures = dict(_figures(name, rulings))
    wrong = [ruling for ruling in rulings if not ruling.right]
    if not wrong:
        return _without_fault(name, rulings, passed, figures)
    first = wrong[0]
    where = f"Started {first.case.label}, {first.case.answer.occasion}"
    what = described(first.compared, first.case.tolerance, spell)
    detail = f"{where}: {what}. {' '.join(_pattern(rulings))}"
    return bad(name, detail, excerpt(first.compared, spell), figures)


def _without_fault(name: str, rulings: Sequence[Ruling], passed: str, figures: Mapping[str, float]) -> Finding:
    steps = [ruling.compared.steps for ruling in rulings]
    total, wanted = sum(steps), sum(len(ruling.case.expected) for ruling in rulings)
    if not all(steps) or total < LEAST * len(rulings):
        detail = (
            f"Only {total} of {wanted} tokens in {len(rulings)} answers could be compared, where others as probable "
            f"were made or an answer ended; {LEAST} of each answer have to be, in the mean, and at least one of each."
        )
        return Finding(unjudged(name, detail), figures)
    mean, most = (max(getattr(ruling.compared, what) for ruling in rulings) for what in ("mean", "most"))
    compared = f"all {total} tokens were compared"
    if total < wanted:
        compared = f"{total} of {wanted} tokens were compared, up to others that are as probable"
    shown = f"logarithms of probabilities are off by {mean:.3f} in the mean and {most:.3f} at most"
    return good(name, f"{passed}: of {len(rulings)} answers {compared}; {shown}.", figures)


def _figures(name: str, rulings: Sequence[Ruling]) -> Iterator[tuple[str, float]]:
    for label in dict.fromkeys(ruling.case.label for ruling in rulings):
        of_label = [ruling.compared for ruling in rulings if ruling.case.label == label]
        key = f"{name}_{label.replace(' ', '_')}"
        yield f"{key}_mean", round(max(one.mean for one in of_label), 4)
        yield f"{key}_most", round(max(one.most for one in of_label), 4)
        yield f"{key}_tokens", sum(one.steps for one in of_label)


def _pattern(rulings: Sequence[Ruling]) -> Iterator[str]:
    """What the wrong answers have in common that no right one has."""
    wrong, right = ([one.case for one in rulings if one.right is fine] for fine in (False, True))
    yield f"{len(wrong)} of {len(rulings)} answers are wrong" + ("." if right else ", so something basic is.")
    if not right:
        return
    labels = {case.label for case in wrong}
    if not labels & {case.label for case in right}:
        yield f"None of those started {' or '.join(sorted(labels))} is right."
    if all(case.answer.together for case in wrong):
        yield "Whatever was asked alone is right."
    elif (least := min(map(_length, wrong))) > (most := max(map(_length, right))):
        yield f"Prompts of {most} tokens and less are right, those of {least} and more are wrong."


def _length(case: Case) -> int:
    return len(case.answer.question.prompt)

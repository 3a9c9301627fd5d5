"""B against A: for each figure how much better or worse it is, and whether that is allowed.

The unit is a run: what its samples come to (`Statistic`). Logarithms of B over A of neighbouring runs (`pairing`) give
a robust estimate with Student's intervals (`location`), at bounds that hold for all looks together (`spending`). Every
claim is wrong with at most the probability that `Rules` gives:

* *not worse* is the interval of that one figure. All deciding figures must be not worse, so none needs a correction.
* *worse* and each direction are corrected for the number of figures that could have raised the alarm, step by step
  (Holm, Scandinavian Journal of Statistics 6, 1979): the more figures, the surer one has to be of each.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from builder.performance.apart import unpaired
from builder.performance.evidence import Evidence, evidence_of
from builder.performance.pairing import Pairs, pair
from builder.performance.rules import Rules, Statistic, loss, loss_limit, ratio_of, usual_statistic
from builder.performance.samples import Better, Family, Metric, Run


class Outcome(StrEnum):
    """The answer against what is allowed."""

    NOT_WORSE = "not worse"
    WORSE = "worse"
    UNDECIDED = "undecided"
    TOLD = "told"
    """the figure decides nothing"""


class Direction(StrEnum):
    """What B is beside A, whatever is allowed."""

    FASTER = "faster"
    SLOWER = "slower"
    LESS = "less"
    MORE = "more"
    NONE = "no difference seen"

    @property
    def seen(self) -> bool:
        """Whether there is any."""
        return self is not Direction.NONE


@dataclass(frozen=True)
class Question:
    """One figure, and what a run comes to in it."""

    metric: Metric
    statistic: Statistic

    @property
    def name(self) -> str:
        """The figure's name, with the statistic where it is not the usual one."""
        usual = self.statistic is usual_statistic(self.metric)
        return self.metric.name if usual else f"{self.metric.name} {self.statistic}"


@dataclass(frozen=True)
class Judgement:
    """One figure of B against A.

    Attributes:
        allowed: how much worse it may be, as a share; None where it decides nothing.
        ratio: B over A; None where no round counts.
        low, high: the interval of the ratio, by itself alone; None before the first look.
        rounds: whole rounds that count for it.
        spread: the usual scatter of one run against another of the same subject, as a share.
        more_rounds: further rounds that would probably decide it; None where it is decided, or where nobody could wait.
        chance: probability that it is decided within the rounds that there may be.
        left_out: why rounds do not count, a sentence each.
    """

    question: Question
    allowed: float | None
    ratio: float | None
    low: float | None
    high: float | None
    rounds: int
    spread: float | None
    outcome: Outcome
    direction: Direction
    more_rounds: int | None
    chance: float
    left_out: tuple[str, ...]

    @property
    def gating(self) -> bool:
        """Whether it decides."""
        return self.allowed is not None

    @property
    def better(self) -> bool:
        """Whether B is seen to be better, whatever is allowed."""
        return self.ratio is not None and self.direction.seen and loss(self.question.metric, math.log(self.ratio)) < 0


def questions(metrics: Iterable[Metric], tails: Sequence[Statistic] = ()) -> tuple[Question, ...]:
    """What is asked of the figures: the usual statistic of each, and of times further ones, which are told only."""
    asked: list[Question] = []
    for metric in metrics:
        asked.append(Question(metric, usual_statistic(metric)))
        asked += [Question(metric, tail) for tail in tails if metric.family is Family.LATENCY]
    return tuple(asked)


def compare(
    runs: Sequence[Run], asked: Sequence[Question], rules: Rules, subjects: tuple[str, str] = ("A", "B")
) -> tuple[Judgement, ...]:
    """Judge every figure by whole rounds.

    Args:
        runs: of one batch.
        asked: each once; a figure that was measured of neither subject is undecided.
        subjects: names of what is compared with, and of what is compared.
    """
    return _judgements(_figures(runs, asked, rules, subjects), rules)


def compare_apart(
    runs: Sequence[Run], asked: Sequence[Question], rules: Rules, subjects: tuple[str, str] = ("A", "B")
) -> tuple[Judgement, ...]:
    """Judge every figure of two subjects that were not measured by turns, each by its own rounds.

    Args:
        runs: those that count, and all that there will be.
        asked: each once; a figure that was not measured of both subjects is undecided.
        subjects: names of what is compared with, and of what is compared.
    """
    figures: list[_Figure] = []
    for question in asked:
        rounds, evidence = unpaired(runs, subjects, question.metric, question.statistic)
        figures.append(_Figure(question, rounds, evidence, _allowed(question, rules)))
    return _judgements(figures, rules)


def _judgements(figures: Sequence[_Figure], rules: Rules) -> tuple[Judgement, ...]:
    gating = [figure for figure in figures if figure.allowed is not None]
    told = [figure for figure in figures if figure.allowed is None]
    worse = _claimed(gating, rules, _worse)
    moved = _claimed(gating, rules, _moved) | _claimed(told, rules, _moved)
    return tuple(
        _judged(
            figure,
            rules,
            worse=figure.question.name in worse,
            moved=figure.question.name in moved,
            among=len(told if figure.allowed is None else gating),
        )
        for figure in figures
    )


def outcome_of(judgements: Iterable[Judgement]) -> Outcome:
    """All deciding figures together: worse where one is, not worse where all are; TOLD where none decides."""
    outcomes = {judgement.outcome for judgement in judgements if judgement.gating}
    order = (Outcome.WORSE, Outcome.UNDECIDED, Outcome.NOT_WORSE)
    return next((outcome for outcome in order if outcome in outcomes), Outcome.TOLD)


def alarms(
    runs: Sequence[Run], asked: Sequence[Question], rules: Rules, subjects: tuple[str, str] = ("A", "B")
) -> frozenset[str]:
    """Names of the deciding questions whose figures are worse than is allowed."""
    gating = [question for question in asked if _allowed(question, rules) is not None]
    return _claimed(_figures(runs, gating, rules, subjects), rules, _worse)


@dataclass(frozen=True)
class _Figure:
    question: Question
    pairs: Pairs
    evidence: Evidence | None
    allowed: float | None

    @property
    def limit(self) -> float:
        """The loss up to which it is not worse."""
        return loss_limit(self.question.metric, self.allowed or 0.0)


def _figures(runs: Sequence[Run], asked: Sequence[Question], rules: Rules, subjects: tuple[str, str]) -> list[_Figure]:
    figures: list[_Figure] = []
    for question in asked:
        pairs = pair(runs, subjects, question.metric.name, question.statistic)
        figures.append(_Figure(question, pairs, evidence_of(pairs, question.metric), _allowed(question, rules)))
    return figures


def _allowed(question: Question, rules: Rules) -> float | None:
    usual = question.statistic is usual_statistic(question.metric)
    return rules.allowance(question.metric) if usual else None


def _worse(figure: _Figure, evidence: Evidence, width: float) -> bool:
    return evidence.loss - width > figure.limit


def _moved(_: _Figure, evidence: Evidence, width: float) -> bool:
    return abs(evidence.loss) > width


def _claimed(
    figures: Sequence[_Figure], rules: Rules, holds: Callable[[_Figure, Evidence, float], bool]
) -> frozenset[str]:
    """Names of the figures of which a claim holds, by Holm's steps: with each one the others need be less sure."""
    claimed: set[str] = set()
    while len(claimed) < len(figures):
        rest = [figure for figure in figures if figure.question.name not in claimed]
        fresh = {figure.question.name for figure in rest if _holds(figure, rules, len(rest), holds)}
        if not fresh:
            break
        claimed |= fresh
    return frozenset(claimed)


def _holds(figure: _Figure, rules: Rules, among: int, holds: Callable[[_Figure, Evidence, float], bool]) -> bool:
    evidence = figure.evidence
    width = evidence.half_width(rules, rules.level / among) if evidence else None
    return evidence is not None and width is not None and holds(figure, evidence, width)


def _judged(figure: _Figure, rules: Rules, *, worse: bool, moved: bool, among: int) -> Judgement:
    evidence = figure.evidence
    width = evidence.half_width(rules, rules.level) if evidence else None
    outcome = _outcome(figure, width, worse=worse)
    direction = _direction(figure) if moved else Direction.NONE
    more, chance = _outlook(figure, rules, outcome, among, moved=moved)
    ratio, low, high = _ratios(figure, width)
    return Judgement(
        question=figure.question,
        allowed=figure.allowed,
        ratio=ratio,
        low=low,
        high=high,
        rounds=len(figure.pairs.rounds),
        spread=evidence.spread if evidence else None,
        outcome=outcome,
        direction=direction,
        more_rounds=more,
        chance=chance,
        left_out=figure.pairs.left_out,
    )


def _outcome(figure: _Figure, width: float | None, *, worse: bool) -> Outcome:
    if figure.allowed is None:
        return Outcome.TOLD
    if worse:
        return Outcome.WORSE
    below = figure.evidence is not None and width is not None and figure.evidence.loss + width <= figure.limit
    return Outcome.NOT_WORSE if below else Outcome.UNDECIDED


def _outlook(figure: _Figure, rules: Rules, outcome: Outcome, among: int, *, moved: bool) -> tuple[int | None, float]:
    """Further rounds that would probably decide, and the probability that those that there may be do."""
    if outcome in (Outcome.NOT_WORSE, Outcome.WORSE):
        return None, 1.0
    evidence = figure.evidence
    if evidence is None or evidence.rounds < rules.least_rounds:
        missing = rules.least_rounds - len(figure.pairs.rounds)
        return missing, float(len(figure.pairs.left_out) <= rules.least_rounds)
    level = rules.level / among
    limits = ([figure.limit] if figure.allowed is not None else []) + ([] if moved else [0.0])
    chance = max((evidence.chance_to_decide(limit, rules, level) for limit in limits), default=1.0)
    first = figure.limit if figure.allowed is not None else 0.0
    more = None if figure.allowed is None and moved else evidence.rounds_to_decide(first, rules, level)
    return more, chance


def _direction(figure: _Figure) -> Direction:
    worse = figure.evidence is not None and figure.evidence.loss > 0
    if figure.question.metric.family is Family.RESOURCE:
        more = worse is (figure.question.metric.better is Better.LOWER)
        return Direction.MORE if more else Direction.LESS
    return Direction.SLOWER if worse else Direction.FASTER


def _ratios(figure: _Figure, width: float | None) -> tuple[float | None, float | None, float | None]:
    """B over A with its interval."""
    if figure.evidence is None:
        return None, None, None
    middle = loss(figure.question.metric, figure.evidence.loss)
    if width is None:
        return ratio_of(middle), None, None
    return ratio_of(middle), ratio_of(middle - width), ratio_of(middle + width)

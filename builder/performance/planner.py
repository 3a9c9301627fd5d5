"""After each round: go on, or stop, and why. A pure function of what was measured so far.

The rounds are read from the first on. The first look at which a deciding figure is worse than is allowed ends the first
batch; the rounds after it are a second, independent batch, which has to find the same before it counts. What the second
batch says of such a figure holds: it was not chosen for looking bad. A regression that only the second batch sees has
been seen once and is undecided.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from builder.performance.comparison import Judgement, Outcome, Question, alarms, compare, outcome_of
from builder.performance.limit import limit
from builder.performance.rules import Rules
from builder.performance.samples import Run

_HOPELESS = 0.05
"""Chance of being decided below which going on is a waste."""


class Why(StrEnum):
    """Why one goes on or stops."""

    UNDECIDED = "undecided"
    CONFIRMING = "confirming"
    DECIDED = "decided"
    HOPELESS = "hopeless"
    LIMIT = "limit"


@dataclass(frozen=True)
class Step:
    """What to do next.

    Attributes:
        sentence: why, for people.
        more_rounds: further rounds that would probably decide; None where that cannot be said.
    """

    why: Why
    sentence: str
    more_rounds: int | None = None

    @property
    def go_on(self) -> bool:
        """Whether another round is to be measured."""
        return self.why in (Why.UNDECIDED, Why.CONFIRMING)


@dataclass(frozen=True)
class Standing:
    """Where a comparison stands.

    Attributes:
        judgements: what holds of every figure, in the order of the questions.
        suspected: names of the questions that were worse in the first batch.
        confirmed: those of them that were worse in the second as well: the comparison fails.
        first_batch: number of rounds in the first batch.
        second_batch: number of rounds in the second.
    """

    judgements: tuple[Judgement, ...]
    suspected: frozenset[str]
    confirmed: frozenset[str]
    first_batch: int
    second_batch: int
    step: Step

    @property
    def outcome(self) -> Outcome:
        """All deciding figures together: worse where one is, not worse where all are; TOLD where none decides."""
        return outcome_of(self.judgements)


def assess(
    runs: Sequence[Run],
    asked: Sequence[Question],
    rules: Rules,
    *,
    spent: float = 0.0,
    subjects: tuple[str, str] = ("A", "B"),
) -> Standing:
    """Where a comparison stands after the rounds so far, and what to do next.

    Args:
        spent: seconds that the rounds so far have taken.
        subjects: names of what is compared with, and of what is compared.
    """
    rounds = sorted({run.round for run in runs})
    end, suspected = _first_batch(runs, rounds, asked, rules, subjects)
    first = [run for run in runs if run.round <= end]
    second = [run for run in runs if run.round > end]
    early = compare(first, asked, rules, subjects)
    late = _confirming(second, asked, suspected, rules, subjects) if suspected else {}
    judgements = tuple(_holding(judgement, late, suspected) for judgement in early)
    confirmed = frozenset(
        one.question.name for one in judgements if one.question.name in suspected and one.outcome is Outcome.WORSE
    )
    counts = [len({run.round for run in batch}) for batch in (first, second)]
    standing = Standing(judgements, suspected, confirmed, counts[0], counts[1], Step(Why.UNDECIDED, ""))
    return replace(standing, step=_next(standing, rules, spent))


def _first_batch(
    runs: Sequence[Run], rounds: Sequence[int], asked: Sequence[Question], rules: Rules, subjects: tuple[str, str]
) -> tuple[int, frozenset[str]]:
    """Number of its last round, and what was worse in it."""
    for number in rounds[rules.least_rounds - 1 :]:
        if found := alarms([run for run in runs if run.round <= number], asked, rules, subjects):
            return number, found
    return (rounds[-1] if rounds else 0), frozenset()


def _confirming(
    runs: Sequence[Run], asked: Sequence[Question], suspected: frozenset[str], rules: Rules, subjects: tuple[str, str]
) -> Mapping[str, Judgement]:
    """The second batch: the suspected figures are judged among themselves."""
    groups = ([one for one in asked if (one.name in suspected) is wanted] for wanted in (True, False))
    return {
        judgement.question.name: judgement for group in groups for judgement in compare(runs, group, rules, subjects)
    }


def _holding(early: Judgement, late: Mapping[str, Judgement], suspected: frozenset[str]) -> Judgement:
    """What holds of a figure after both batches."""
    name = early.question.name
    if name in suspected:
        return late[name]
    if name not in late or early.outcome is not Outcome.UNDECIDED:
        return early
    again = late[name]
    return replace(again, outcome=Outcome.UNDECIDED) if again.outcome is Outcome.WORSE else again


def _next(standing: Standing, rules: Rules, spent: float) -> Step:
    names = ", ".join(sorted(standing.confirmed))
    if names:
        return Step(Why.DECIDED, f"Worse than is allowed, and confirmed by a second batch of rounds: {names}.")
    open_ = _open(standing.judgements)
    if not open_:
        return Step(Why.DECIDED, "Every figure is decided.")
    named = ", ".join(judgement.question.name for judgement in open_)
    more = _more(open_)
    if reached := _limit(standing, rules, spent):
        return Step(Why.LIMIT, f"{reached}, and this is open: {named}.", more)
    if all(judgement.chance < _HOPELESS for judgement in open_):
        return Step(Why.HOPELESS, f"More rounds would hardly decide {named}.", more)
    if standing.suspected:
        suspects = ", ".join(sorted(standing.suspected))
        return Step(
            Why.CONFIRMING, f"Worse than is allowed in the first batch of rounds: {suspects}; confirming.", more
        )
    return Step(Why.UNDECIDED, f"Open: {named}.", more)


def _open(judgements: Sequence[Judgement]) -> list[Judgement]:
    """What more rounds are for: deciding figures that are undecided; where none decides, those without a direction."""
    gating = [judgement for judgement in judgements if judgement.gating]
    if gating:
        return [judgement for judgement in gating if judgement.outcome is Outcome.UNDECIDED]
    return [judgement for judgement in judgements if not judgement.direction.seen]


def _more(open_: Sequence[Judgement]) -> int | None:
    """Rounds until the last of them is probably decided."""
    wanted = [judgement.more_rounds for judgement in open_]
    return None if any(rounds is None for rounds in wanted) else max(rounds or 0 for rounds in wanted)


def _limit(standing: Standing, rules: Rules, spent: float) -> str:
    """Which limit does not allow another round; empty where all do."""
    return limit(
        rules,
        most=rules.most_rounds,
        counted=max((judgement.rounds for judgement in _open(standing.judgements)), default=0),
        batch=standing.second_batch if standing.suspected else standing.first_batch,
        rounds=standing.first_batch + standing.second_batch,
        spent=spent,
    )

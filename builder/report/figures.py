"""A record figure by figure: what every report shows, before it is told in its own words."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import TYPE_CHECKING

from builder.performance.comparison import Direction, Judgement, Outcome, Question, compare, questions
from builder.performance.pairing import summarise
from builder.performance.rules import Statistic, loss, usual_statistic
from builder.performance.samples import Better, Family, Metric, Run
from builder.performance.sentences import spell_interval
from builder.report.numbers import Scale, scale_of

if TYPE_CHECKING:
    from builder.performance.record import JudgementRecord, Record


@dataclass(frozen=True)
class Change:
    """One subject against the first, in one figure.

    Attributes:
        ratio: of the two; None where no round counts.
        low, high: the interval of the ratio; None before there is one.
        allowed: how much worse it may be, as a share; None where the figure decides nothing.
        better: whether it is seen to be better.
    """

    ratio: float | None
    low: float | None
    high: float | None
    allowed: float | None
    outcome: Outcome
    direction: Direction
    better: bool
    more_rounds: int | None
    left_out: tuple[str, ...]

    @property
    def words(self) -> str:
        """The estimate with its interval, such as `+5.2 % (+3.1 % to +7.3 %)`; empty where there is none."""
        return spell_interval(self.ratio, self.low, self.high)

    @property
    def answer(self) -> str:
        """The outcome in a word or two."""
        if self.outcome is Outcome.TOLD:
            return str(self.direction) if self.direction.seen else ""
        return "better" if self.outcome is Outcome.NOT_WORSE and self.better else str(self.outcome)


@dataclass(frozen=True)
class Point:
    """What one run comes to in one figure.

    Attributes:
        order: place among all runs.
        value: None where it comes to nothing.
        counts: whether it was not set aside.
    """

    subject: str
    order: int
    value: float | None
    counts: bool


@dataclass(frozen=True)
class Figure:
    """One figure of all subjects.

    Attributes:
        name: with the statistic where it is not the usual one.
        values: by subject, the median over its runs that count.
        points: every run, in the order in which they were measured.
        samples: by subject, those of all runs that count.
        changes: by subject, of all but the first; empty where nothing was compared.
        scale: how its values are written.
    """

    name: str
    metric: Metric
    statistic: Statistic
    values: Mapping[str, float]
    points: tuple[Point, ...]
    samples: Mapping[str, tuple[float, ...]]
    changes: Mapping[str, Change]
    scale: Scale

    @property
    def decides(self) -> bool:
        """Whether the answer depends on it."""
        return any(change.allowed is not None for change in self.changes.values())


def figures_of(record: Record) -> tuple[Figure, ...]:
    """Every figure of a record, the deciding ones first, otherwise in the order of the record.

    A tail for which runs have too few samples is not there.
    """
    runs = record.measured_runs()
    changes = _changes(record, runs)
    made = [_figure(question, record, runs, changes.get(question.name, {})) for question in _asked(record)]
    shown = [figure for figure in made if figure.values or figure.statistic is usual_statistic(figure.metric)]
    return tuple(sorted(shown, key=lambda figure: not figure.decides))


def set_aside(record: Record, figures: Iterable[Figure]) -> tuple[str, ...]:
    """Runs that do not count, and why, a sentence each; then the rounds that single figures lack."""
    aside = [run for run in sorted(record.runs, key=lambda run: run.order) if run.set_aside]
    known = {run.round for run in aside}
    lacking: dict[str, list[int]] = {}
    for change in (change for figure in figures for change in figure.changes.values()):
        for sentence in change.left_out:
            number, _, reason = sentence.removeprefix("Round ").partition(": ")
            if number.isdecimal() and int(number) not in known and int(number) not in lacking.get(reason, ()):
                lacking.setdefault(reason, []).append(int(number))
    runs = [f"{run.subject}, round {run.round}: {run.set_aside}" for run in aside]
    return (*runs, *(f"{_spell_rounds(rounds)}: {reason}." for reason, rounds in lacking.items()))


def by_family(figures: Iterable[Figure]) -> Iterator[tuple[str, list[Figure]]]:
    """Figures in groups that are read alike, each with its heading."""
    left = list(figures)
    for family in Family:
        if members := [figure for figure in left if figure.metric.family is family]:
            yield _heading(family, members), members


def _spell_rounds(rounds: Sequence[int]) -> str:
    numbers = ", ".join(map(str, rounds))
    return f"Round {numbers}" if len(rounds) == 1 else f"Rounds {numbers}"


def _heading(family: Family, members: Sequence[Figure]) -> str:
    way = "less" if members[0].metric.better is Better.LOWER else "more"
    units = [unit for unit in dict.fromkeys(figure.metric.unit for figure in members) if "/" in unit]
    return f"{_FAMILIES[family]} ({', '.join((*units, f'{way} is better'))})"


_FAMILIES: Mapping[Family, str] = {
    Family.LATENCY: "Waiting",
    Family.THROUGHPUT: "Speed",
    Family.LLAMA_BENCH: "Speed without a server",
    Family.START: "Start",
    Family.RESOURCE: "Resources",
}


def _asked(record: Record) -> list[Question]:
    """The questions that were judged, with every figure that was measured and not judged."""
    metrics = {part.name: part.metric() for part in record.metrics}
    judged = [Question(metrics[one.metric], one.statistic) for one in record.judgements if one.metric in metrics]
    seen = {question.metric.name for question in judged}
    return [*judged, *questions(metric for name, metric in metrics.items() if name not in seen)]


def _changes(record: Record, runs: Sequence[Run]) -> Mapping[str, Mapping[str, Change]]:
    """By question and subject. Of more than two subjects the record judges none: they are compared with the first."""
    first, *others = (subject.name for subject in record.subjects)
    found: dict[str, dict[str, Change]] = {}
    if len(others) == 1:
        metrics = {part.name: part.metric() for part in record.metrics}
        for judged in record.judgements:
            if metric := metrics.get(judged.metric):
                question = Question(metric, judged.statistic)
                found.setdefault(question.name, {})[others[0]] = _change(judged, metric)
        return found
    asked, rules = _asked(record), record.rules.rules()
    for name in others:
        for one in compare(runs, asked, rules, (first, name)):
            change = replace(_change(one, one.question.metric), outcome=Outcome.TOLD, allowed=None)
            found.setdefault(one.question.name, {})[name] = change
    return found


def _change(judged: Judgement | JudgementRecord, metric: Metric) -> Change:
    seen = judged.ratio is not None and judged.direction.seen
    return Change(
        ratio=judged.ratio,
        low=judged.low,
        high=judged.high,
        allowed=judged.allowed,
        outcome=judged.outcome,
        direction=judged.direction,
        better=seen and loss(metric, math.log(judged.ratio or 1.0)) < 0,
        more_rounds=judged.more_rounds,
        left_out=judged.left_out,
    )


def _figure(question: Question, record: Record, runs: Sequence[Run], changes: Mapping[str, Change]) -> Figure:
    name, statistic = question.metric.name, question.statistic
    points = tuple(
        Point(run.subject, run.order, summarise(run.samples.get(name), statistic)[0], not run.set_aside)
        for run in sorted(runs, key=lambda run: run.order)
        if name in run.samples
    )
    values: dict[str, float] = {}
    samples: dict[str, tuple[float, ...]] = {}
    for subject in record.subjects:
        counted = [point.value for point in points if point.subject == subject.name and point.counts]
        if known := [value for value in counted if value is not None]:
            values[subject.name] = median(known)
            samples[subject.name] = tuple(_samples(runs, subject.name, name))
    return Figure(
        name=question.name,
        metric=question.metric,
        statistic=statistic,
        values=values,
        points=points,
        samples=samples,
        changes=changes,
        scale=scale_of(values.values(), question.metric.unit),
    )


def _samples(runs: Iterable[Run], subject: str, name: str) -> Iterator[float]:
    for run in runs:
        if run.subject == subject and not run.set_aside:
            yield from (value for value in run.samples.get(name, ()) if 0 <= value < math.inf)

"""What rounds are measured for: a base line, one subject against another, or the best of several.

After each round an aim says what is known and whether to go on; it sees runs alone and remembers nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from builder.performance.comparison import Judgement, Outcome, Question, questions
from builder.performance.limit import limit
from builder.performance.metrics import metric
from builder.performance.planner import Step, Why, assess
from builder.performance.rules import TAILS, Rules
from builder.performance.samples import Metric, Run
from builder.performance.sentences import collapsed, plural, reason
from builder.performance.sweep import aims_of, recommend


@dataclass(frozen=True)
class Decision:
    """What is known after a round.

    Attributes:
        settled: there is an answer, whatever it is.
        outcome: of a comparison; None where nothing is judged.
        sentences: the answer and why, for people.
        notes: what is to be kept beside the figures.
        chosen: the subject that is recommended; empty where none is.
    """

    step: Step
    settled: bool
    outcome: Outcome | None = None
    judgements: tuple[Judgement, ...] = ()
    sentences: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    chosen: str = ""


class Aim(Protocol):
    """What rounds are measured for."""

    @property
    def rules(self) -> Rules:
        """How it is judged, and how long one may go on."""

    @property
    def dispensable(self) -> frozenset[str]:
        """Names of subjects of which at least one has to remain; all others are needed."""

    def decide(self, runs: Sequence[Run], spent: float) -> Decision:
        """What is known after whole rounds of the subjects that remain.

        Args:
            spent: seconds that they took.
        """


@dataclass(frozen=True)
class Baseline:
    """One subject by itself, which later ones are held against.

    Attributes:
        name: the subject's.
        wanted: rounds that have to count.
    """

    name: str
    rules: Rules
    wanted: int
    dispensable: frozenset[str] = frozenset()

    def decide(self, runs: Sequence[Run], spent: float) -> Decision:
        """Enough rounds, or a limit."""
        rounds = {run.round for run in runs}
        counted = rounds - {run.round for run in runs if run.set_aside}
        step = self._step(len(rounds), len(counted), spent)
        enough = len(counted) >= self.wanted
        said = (
            f"This is a base line of {plural(len(counted), 'round')}."
            if enough
            else self._lacking(runs, len(counted), step)
        )
        return Decision(step, enough, sentences=(said,), notes=(said,))

    def _lacking(self, runs: Sequence[Run], counted: int, step: Step) -> str:
        reasons = collapsed(run.set_aside for run in runs if run.set_aside)
        verb = "counts" if counted in (0, 1) else "count"
        ended = () if step.go_on else (step.sentence,)
        lacking = f"A base line takes {plural(self.wanted, 'round')}, and {counted or 'none'} {verb}."
        return " ".join((lacking, *reasons, *ended))

    def _step(self, rounds: int, counted: int, spent: float) -> Step:
        missing = self.wanted - counted
        if missing <= 0:
            return Step(Why.DECIDED, "As many rounds as were wanted are there.", 0)
        reached = limit(self.rules, most=self.wanted, counted=counted, batch=rounds, rounds=rounds, spent=spent)
        if reached:
            return Step(Why.LIMIT, f"{reached}.", missing)
        return Step(Why.UNDECIDED, f"Measuring a base line: {plural(missing, 'round')} to go.", missing)


@dataclass(frozen=True)
class Pair:
    """Whether the second subject is worse than the first."""

    first: str
    second: str
    rules: Rules
    dispensable: frozenset[str] = frozenset()

    def decide(self, runs: Sequence[Run], spent: float) -> Decision:
        """Every figure, and all that decide together; what was measured of one subject alone is not decided."""
        asked = questions(_metrics(runs), TAILS)
        standing = assess(runs, asked, self.rules, spent=spent, subjects=(self.first, self.second))
        open_ = [one for one in standing.judgements if one.gating and one.outcome is not Outcome.NOT_WORSE]
        return Decision(
            standing.step,
            standing.outcome in (Outcome.WORSE, Outcome.NOT_WORSE),
            standing.outcome,
            standing.judgements,
            (standing.step.sentence, *(reason(one, self.rules) for one in open_)),
            (standing.step.sentence,),
        )


@dataclass(frozen=True)
class Sweep:
    """Which of several subjects to take.

    Attributes:
        titles: what people call each subject, by its name.
        current: the subject that is in use.
        target: first part of a figure's name or the whole; empty takes the time to first token.
    """

    titles: Mapping[str, str]
    current: str
    target: str
    rules: Rules

    @property
    def dispensable(self) -> frozenset[str]:
        """All but the current one."""
        return frozenset(self.titles) - {self.current}

    def decide(self, runs: Sequence[Run], spent: float) -> Decision:
        """The recommendation so far, by what was measured of every subject."""
        seen = {run.subject for run in runs}
        titles = {name: title for name, title in self.titles.items() if name in seen}
        common, partial = _shared(runs, list(titles))
        left_out = tuple(f"{name} was not measured of all, and is left out." for name in partial)
        if not aims_of(common, self.target):
            return self._without_target(left_out)
        found = recommend(runs, common, self.rules, titles, current=self.current, target=self.target, spent=spent)
        return Decision(
            found.step,
            found.step.why is Why.DECIDED,
            sentences=found.sentences,
            notes=(found.step.sentence, *left_out),
            chosen=found.subject,
        )

    def _without_target(self, left_out: tuple[str, ...]) -> Decision:
        what = self.target or "What a choice could rest on"
        said = f"{what} was not measured of all, so nothing is recommended. Name another figure with --target."
        return Decision(Step(Why.HOPELESS, said), settled=False, sentences=(said,), notes=(said, *left_out))


def _metrics(runs: Sequence[Run]) -> tuple[Metric, ...]:
    return tuple(metric(name) for name in dict.fromkeys(name for run in runs for name in run.samples))


def _shared(runs: Sequence[Run], names: Sequence[str]) -> tuple[tuple[Question, ...], tuple[str, ...]]:
    """Questions on what was measured of all subjects, and the names of what was not."""
    seen = [{name for run in runs if run.subject == one for name in run.samples} for one in names]
    every = _metrics(runs)
    common = [one for one in every if all(one.name in part for part in seen)]
    return questions(common), tuple(one.name for one in every if one not in common)

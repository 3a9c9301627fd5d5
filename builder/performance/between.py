"""Two records held against each other: a record of what both measured.

They were not measured by turns, and nothing confirms what they show: what is seen to be worse is said to be so, and
stays undecided until one bench of both finds it.
"""

from __future__ import annotations

from dataclasses import replace

from builder.performance.comparable import comparable
from builder.performance.comparison import Outcome, compare_apart, outcome_of, questions
from builder.performance.errors import CouldNotMeasure
from builder.performance.metrics import metric
from builder.performance.record import (
    JudgementRecord,
    Record,
    record_of_rules,
    records_of_metrics,
    records_of_runs,
)
from builder.performance.rules import TAILS, Rules
from builder.performance.samples import Family, Run
from builder.performance.sentences import reason

_NAMES = ("A", "B")
_UNCONFIRMED = (
    "It was seen to be worse, in records that were not measured by turns. `builder bench A B` measures both by turns, "
    "and confirms it or does not."
)


def between(before: Record, after: Record, subjects: tuple[str, str], rules: Rules) -> Record:
    """A record in which A is a subject of one and B a subject of another.

    Rounds that do not count are left out of both; the rest are two independent samples. What differs besides the
    subjects is in the notes. The outcome is never worse, for that takes a second batch of rounds by turns.

    Args:
        subjects: their names in the two records.

    Raises:
        CouldNotMeasure: they may not be compared, or have too few rounds.
    """
    found = comparable(before, after, subjects)
    if not found.sound:
        raise CouldNotMeasure(
            "These records cannot be compared.", "Measure both images in one bench.", excerpt=found.refusals
        )
    runs = [*_counted(before, subjects[0], "A"), *_counted(after, subjects[1], "B")]
    names, left_out = _names(before, after)
    asked = questions([metric(name) for name in names], TAILS)
    seen = compare_apart(runs, asked, rules, _NAMES)
    suspects = [one for one in seen if one.outcome is Outcome.WORSE]
    judgements = tuple(replace(one, outcome=Outcome.UNDECIDED) if one in suspects else one for one in seen)
    chosen = [record.subject(name) for record, name in zip((before, after), subjects, strict=True)]
    outcome = outcome_of(judgements)
    open_ = [one for one in seen if one.gating and one.outcome is not Outcome.NOT_WORSE]
    return after.model_copy(
        update={
            "interrupted": "",
            "ended": after.ended or after.started,
            "subjects": tuple(
                one.model_copy(update={"name": name}) for one, name in zip(chosen, _NAMES, strict=True) if one
            ),
            "metrics": records_of_metrics(map(metric, names)),
            "rules": record_of_rules(rules),
            "runs": records_of_runs(runs),
            "judgements": tuple(map(JudgementRecord.of, judgements)),
            "outcome": outcome,
            "unsettled": _UNCONFIRMED if suspects else "",
            "recommended": "",
            "recommendation": (),
            "notes": (
                *([_UNCONFIRMED] if suspects else []),
                *(reason(one, rules) for one in open_),
                *left_out,
                *found.caveats,
            ),
        }
    )


def _counted(record: Record, subject: str, name: str) -> list[Run]:
    """A subject's rounds that count, numbered anew so that those of two records meet."""
    own = [run for run in record.measured_runs() if run.subject == subject]
    aside = {run.round for run in own if run.set_aside}
    numbers = {number: place for place, number in enumerate(sorted({run.round for run in own} - aside), start=1)}
    return [replace(run, subject=name, round=numbers[run.round]) for run in own if run.round in numbers]


def _names(before: Record, after: Record) -> tuple[list[str], tuple[str, ...]]:
    """Figures of either; what llama-bench gave is left out, and said, where one image had none."""
    figures = [{one.name: one.family for one in record.metrics} for record in (before, after)]
    with_bench = [Family.LLAMA_BENCH in known.values() for known in figures]
    every = {**figures[0], **figures[1]}
    if with_bench[0] == with_bench[1]:
        return list(every), ()
    kept = [name for name, family in every.items() if family is not Family.LLAMA_BENCH]
    return kept, ("llama-bench is not compared: it is in one record alone.",)

"""What a comparison came to in two sentences: what is so, and what to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from builder.performance.comparison import Outcome
from builder.performance.sentences import plural
from builder.report.figures import Change, Figure
from builder.report.names import explain_name, titles

if TYPE_CHECKING:
    from builder.performance.record import Record

_NAMED = 3
"""Figures that a headline names; the others it counts."""


class Tone(StrEnum):
    """How an answer is to be taken."""

    GOOD = "good"
    BAD = "bad"
    OPEN = "open"
    PLAIN = "plain"


@dataclass(frozen=True)
class Headline:
    """The answer.

    Attributes:
        text: what is so.
        advice: what to do.
    """

    tone: Tone
    text: str
    advice: str


def headline_of(record: Record, figures: Sequence[Figure], said: Sequence[str] = ()) -> Headline:
    """The answer that a record gives.

    Args:
        said: a recommendation in sentences, which a record of more than two subjects does not hold.
    """
    if record.runs and all(run.set_aside for run in record.runs):
        answer = _nothing_counts(record)
    elif len(record.subjects) == 2 and (record.outcome or not (said or record.unsettled)):  # noqa: PLR2004
        answer = _answer(record, figures)
    else:
        answer = _without_comparison(record, said)
    if record.whole:
        return answer
    why = record.interrupted.rstrip(".") or "it is still being measured, or was killed"
    return Headline(Tone.OPEN, f"{answer.text} This is not whole: {why}.", "Measure it to its end.")


def _nothing_counts(record: Record) -> Headline:
    text = f"None of {plural(len(record.runs), 'run')} counts. The last: {record.runs[-1].set_aside}"
    return Headline(Tone.OPEN, text, "Measure again while nothing else runs there.")


def _without_comparison(record: Record, said: Sequence[str]) -> Headline:
    if said:
        return Headline(Tone.OPEN if record.unsettled else Tone.PLAIN, said[0], " ".join(said[1:]))
    names = titles(record)
    if len(names) == 1:
        name = next(iter(names.values()))
        if record.unsettled:
            text = f"{name} was measured alone, and not often enough. {record.unsettled}"
            return Headline(Tone.OPEN, text, "Give it more time, see --time-limit, or a quieter machine.")
        return Headline(Tone.PLAIN, f"{name} was measured alone.", "There was nothing to compare it with.")
    text = f"{len(names)} variations were measured side by side."
    return Headline(Tone.OPEN, f"{text} {record.unsettled}", "") if record.unsettled else Headline(Tone.PLAIN, text, "")


def _answer(record: Record, figures: Sequence[Figure]) -> Headline:
    first, second = (subject.name for subject in record.subjects)
    names = titles(record)
    one, other = (f"{name} ({names[name]})" if names[name] != name else name for name in (first, second))
    deciding = [(figure, figure.changes[second]) for figure in figures if figure.decides]
    match record.outcome:
        case Outcome.WORSE:
            worse = _listed([pair for pair in deciding if pair[1].outcome is Outcome.WORSE], allowed=True)
            return Headline(Tone.BAD, f"{other} is worse than {one}: {worse}.", f"Keep {first}.")
        case Outcome.NOT_WORSE:
            better = _listed([pair for pair in deciding if pair[1].better])
            also = f" It is better in {better}." if better else ""
            told = plural(len(deciding), "deciding figure")
            return Headline(
                Tone.GOOD, f"{other} is not worse than {one} in {told}.{also}", f"{second} may replace {first}."
            )
        case Outcome.UNDECIDED:
            open_ = [pair for pair in deciding if pair[1].outcome is Outcome.UNDECIDED]
            text = f"Whether {other} is worse than {one} is open: {_listed(open_, allowed=True)}."
            return Headline(Tone.OPEN, text, record.unsettled or _outlook([change for _, change in open_]))
        case Outcome.TOLD:
            return Headline(Tone.PLAIN, f"{other} beside {one}: no figure that decides was measured.", "")
        case _:
            return Headline(Tone.OPEN, f"{other} was not yet held against {one}.", "")


def _listed(pairs: Sequence[tuple[Figure, Change]], *, allowed: bool = False) -> str:
    named = [_named(figure, change, allowed=allowed) for figure, change in pairs[:_NAMED]]
    rest = len(pairs) - len(named)
    return "; ".join([*named, *([f"{rest} more"] if rest else [])])


def _named(figure: Figure, change: Change, *, allowed: bool) -> str:
    limit = f", {change.allowed * 100:g} % allowed" if allowed and change.allowed is not None else ""
    return f"{explain_name(figure.name)} {change.words or 'not measured'}{limit}"


def _outlook(open_: Sequence[Change]) -> str:
    wanted = [change.more_rounds for change in open_]
    known = [rounds for rounds in wanted if rounds is not None]
    if len(known) < len(wanted) or not known:
        return "No number of rounds within reach would tell: measure on a quieter machine."
    return f"About {plural(max(known), 'more round')} would tell."

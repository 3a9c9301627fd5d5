"""What was measured, as Markdown for a pull request or a job's summary.

Names of images, settings and reasons come from outside. On GitHub a stray `@` calls a person, `#1` or a commit's digits
link somewhere and `|` ends a cell: foreign words stand as code, foreign sentences are escaped.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from builder.console import printable
from builder.performance.comparison import Outcome
from builder.report.figures import Change, Figure, by_family, figures_of, set_aside
from builder.report.headline import Headline, Tone, headline_of
from builder.report.names import explain_name, spell_course, titles
from builder.report.soak import readings, soak_headline, spell_load

if TYPE_CHECKING:
    from builder.performance.record import Record, SubjectRecord
    from builder.performance.soak.record import SoakRecord

_MARKS = {Tone.GOOD: "✅", Tone.BAD: "❌", Tone.OPEN: "❔", Tone.PLAIN: "📏"}
_SAID = {"pass": "✅ pass", "fail": "❌ fail", "could not judge": "❔ could not judge"}
_SPECIAL = re.compile(r"([\\`*_\[\]<>|~&$])")
_CALLING = re.compile(r"([@#]|://|\bwww\.|\bGH-)")
"""What GitHub makes a mention or a link of, wherever it stands in a text."""
_BREAK = "&#8203;"
"""A space without width."""
_TWO = 2


def markdown(record: Record, said: Sequence[str] = ()) -> str:
    """A comparison: the answer, the figures that decide, and all others folded away.

    Args:
        said: a recommendation in sentences, where there are more than two subjects.
    """
    figures = figures_of(record)
    deciding = [figure for figure in figures if figure.decides] or figures
    others = [figure for figure in figures if figure not in deciding]
    parts = [
        *_answer(headline_of(record, figures, said)),
        _subjects(record.subjects, titles(record)),
        escape(f"{spell_course(record)}."),
        *([_table(record, deciding)] if deciding else []),
        *([_folded("Figures that decide nothing", _table(record, others))] if others else []),
        *_lists({"Set aside": set_aside(record, figures), "Notes": record.notes}),
    ]
    return "\n\n".join(parts) + "\n"


def soak_markdown(record: SoakRecord) -> str:
    """A soak: the answer, what was looked at, and the figures folded away."""
    checks = [
        (code(check.name), _SAID[check.outcome], escape(" ".join((check.detail, *check.excerpt[:1]))))
        for check in record.checks
    ]
    figures = [(escape(reading.name), reading.words) for reading in readings(record)]
    parts = [
        *_answer(soak_headline(record)),
        _subjects((record.subject,), {}),
        escape(f"{spell_load(record)}."),
        *([_rows(("check", "outcome", ""), checks)] if checks else []),
        *([_folded("Figures", _rows(("", "value"), figures))] if figures else []),
        *_lists({"Notes": record.notes}),
    ]
    return "\n\n".join(parts) + "\n"


def escape(text: str) -> str:
    """Foreign text as itself, on one line."""
    return _CALLING.sub(rf"\1{_BREAK}", _SPECIAL.sub(r"\\\1", _line(text)))


def code(text: str) -> str:
    """Foreign words as code, also in a table's cell; escaped where a cell has no way to hold them as code."""
    if "\\|" in text:
        return escape(text)
    inner = _line(text).replace("|", "\\|")
    longest = max((len(run) for run in re.findall("`+", inner)), default=0)
    fence = "`" * (longest + 1)
    blank = " " if longest or not inner else ""
    return f"{fence}{blank}{inner}{blank}{fence}"


def _line(text: str) -> str:
    return " ".join(printable(text).split())


def _answer(headline: Headline) -> Iterator[str]:
    yield f"### {_MARKS[headline.tone]} {escape(headline.text)}"
    if headline.advice:
        yield escape(headline.advice)


def _subjects(subjects: Iterable[SubjectRecord], names: Mapping[str, str]) -> str:
    rows = [
        (code(subject.name), code(names.get(subject.name, subject.build)), code(subject.reference), code(subject.image))
        for subject in subjects
    ]
    return _rows(("", "", "image", "ID"), rows)


def _table(record: Record, figures: Sequence[Figure]) -> str:
    names = [subject.name for subject in record.subjects]
    compared = any(figure.changes for figure in figures)
    heads = ["figure", *map(escape, names)]
    for name in names[1:] if compared else ():
        heads += ["change (interval)", "outcome"] if len(names) == _TWO else [f"{escape(name)} to {escape(names[0])}"]
    rows = [tuple(_cells(figure, names, compared=compared)) for _, members in by_family(figures) for figure in members]
    return _rows(heads, rows)


def _cells(figure: Figure, names: Sequence[str], *, compared: bool) -> Iterator[str]:
    yield f"{code(figure.name)} {escape(explain_name(figure.name))}"
    yield from (figure.scale.spell(figure.values.get(name)) for name in names)
    for name in names[1:] if compared else ():
        change = figure.changes.get(name)
        yield change.words if change and change.words else "-"
        if len(names) == _TWO:
            yield _outcome(change)


def _outcome(change: Change | None) -> str:
    if change is None:
        return ""
    allowed = "" if change.allowed is None else f" ({change.allowed * 100:g} % allowed)"
    mark = {Outcome.WORSE: "❌ ", Outcome.UNDECIDED: "❔ ", Outcome.NOT_WORSE: "✅ "}.get(change.outcome, "")
    return f"{mark}{change.answer}{allowed}"


def _rows(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _folded(title: str, inner: str) -> str:
    return f"<details><summary>{escape(title)}</summary>\n\n{inner}\n\n</details>"


def _lists(lists: Mapping[str, Sequence[str]]) -> Iterator[str]:
    for title, sentences in lists.items():
        if sentences:
            yield _folded(f"{title} ({len(sentences)})", "\n".join(f"- {escape(sentence)}" for sentence in sentences))

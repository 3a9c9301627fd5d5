"""What was measured, on a terminal of 80 columns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Literal

from builder.console import printable
from builder.performance.comparison import Outcome
from builder.performance.sentences import percent
from builder.report.figures import Change, Figure, by_family, figures_of, set_aside
from builder.report.headline import Headline, Tone, headline_of
from builder.report.names import short_digest, spell_course, titles
from builder.report.sparkline import sparklines

if TYPE_CHECKING:
    from rich.console import Group, RenderableType
    from rich.table import Table
    from rich.text import Text

    from builder.performance.record import Record

    Align = Literal["left", "right"]
    Column = tuple[str, Align, Callable[[Figure], Text]]

STYLES: Mapping[Tone, str] = {
    Tone.GOOD: "bold green",
    Tone.BAD: "bold red",
    Tone.OPEN: "bold yellow",
    Tone.PLAIN: "bold",
}
_NARROW, _WIDE = 4, 16
"""Letters of a subject's sparkline: where there are 80 columns, and where there are more."""
_ROOM = 110
"""Columns from which sparklines may be wide."""
_MOST = 6
"""Sentences of a list, but for one more that would take its last line anyway."""
_TWO = 2
_LARGE, _ENDLESS = 100, 999
"""Per cent from which no digits follow the point, and from which nobody wants to know how much."""
_NAME, _VALUE = 22, 10
"""Columns of a figure's name, and of a value."""


def spell_record(record: Record, width: int = 80, said: Sequence[str] = ()) -> Group:
    """What was measured and what came of it.

    Args:
        width: columns of the terminal; sparklines take what is left.
        said: a recommendation in sentences, where there are more than two subjects.
    """
    from rich.console import Group

    figures = figures_of(record)
    parts: list[RenderableType] = [*spell_headline(headline_of(record, figures, said)), *_subjects(record)]
    if figures:
        parts += ["", *_tables(record, figures, width)]
    for title, sentences in (("Set aside", set_aside(record, figures)), ("Notes", record.notes)):
        if sentences:
            parts += ["", spell_list(title, sentences)]
    return Group(*parts)


def spell_headline(headline: Headline) -> Iterator[Text]:
    """The answer and what to do."""
    from rich.text import Text

    yield Text(printable(headline.text), style=STYLES[headline.tone])
    if headline.advice:
        yield Text(printable(headline.advice))


def spell_list(title: str, sentences: Sequence[str]) -> Table:
    """A heading with sentences that wrap beside it, and how many there are besides where they are many."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column()
    left = len(sentences) - _MOST
    shown = [*sentences[:_MOST], f"{left} more are in the record."] if left > 1 else sentences
    for number, sentence in enumerate(shown):
        table.add_row(Text("" if number else title, style="bold"), Text(printable(sentence)))
    return table


def _subjects(record: Record) -> Iterator[Text]:
    from rich.text import Text

    names = titles(record)
    for subject in record.subjects:
        told = dict.fromkeys((names[subject.name], subject.reference, short_digest(subject.image)))
        yield Text(printable(f"{subject.name}  {', '.join(told)}"), style="dim")
    yield Text(printable(spell_course(record)), style="dim")


def _tables(record: Record, figures: Sequence[Figure], width: int) -> Iterator[RenderableType]:
    """For each family a table under its heading, all with the same columns; many subjects get several."""
    from rich.text import Text

    names = [subject.name for subject in record.subjects]
    fitting = max(_TWO, (width - _NAME) // _VALUE)
    for start in range(0, len(names), fitting):
        if start:
            yield ""
        some = names[start : start + fitting]
        columns = list(_columns(some, width, compared=any(figure.changes for figure in figures), among=len(names)))
        groups = [
            (heading, [[cell(figure) for _, _, cell in columns] for figure in members])
            for heading, members in by_family(figures)
        ]
        rows = [row for _, members in groups for row in members]
        widths = [max(len(head), *(row[place].cell_len for row in rows)) for place, (head, _, _) in enumerate(columns)]
        widths[0] = max(_TWO, min(widths[0], width - sum(widths[1:]) - len(widths)))
        aligned = [align for _, align, _ in columns]
        yield _table([[Text(head, style="bold") for head, _, _ in columns]], widths, aligned)
        for heading, members in groups:
            yield Text(printable(heading), style="dim")
            yield _table(members, widths, aligned)


def _columns(names: Sequence[str], width: int, *, compared: bool, among: int) -> Iterator[Column]:
    """Headings, how what is below stands, and how a figure's cell is made."""
    from rich.text import Text

    yield "", "left", lambda figure: Text(printable(figure.name))
    for name in names:
        yield printable(name), "right", partial(_value, name=name, among=among)
    if among > _TWO:
        return
    if compared and among == _TWO:
        other = names[1]
        yield "change in %", "right", lambda figure: Text(_short(figure.changes.get(other)))
        yield "", "left", lambda figure: _answer(figure.changes.get(other))
    letters = _WIDE if width >= _ROOM else _NARROW
    yield "runs", "left", lambda figure: Text(" ".join(sparklines([_line(figure, name) for name in names], letters)))


def _table(rows: Sequence[Sequence[Text]], widths: Sequence[int], aligned: Sequence[Align]) -> Table:
    from rich.table import Table

    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 1, 0, 0))
    for width, align in zip(widths, aligned, strict=True):
        table.add_column(width=width, justify=align, no_wrap=True, overflow="ellipsis")
    for row in rows:
        table.add_row(*row)
    return table


def _value(figure: Figure, name: str, among: int) -> Text:
    """Among many subjects one that is seen to be better or worse than the first has its colour."""
    from rich.text import Text

    change = figure.changes.get(name) if among > _TWO else None
    seen = change is not None and change.direction.seen
    style = ("green" if change.better else "red") if seen and change else ""
    return Text(figure.scale.bare(figure.values.get(name)), style=style)


def _line(figure: Figure, name: str) -> list[float | None]:
    return [point.value if point.counts else None for point in figure.points if point.subject == name]


def _short(change: Change | None) -> str:
    """The estimate with its interval in few letters: `+5.2 (+3.1 to +7.3)`."""
    if change is None or change.ratio is None:
        return "-"
    middle, *bounds = (_percent(bound) for bound in (change.ratio, change.low, change.high) if bound is not None)
    return f"{middle} ({bounds[0]} to {bounds[1]})" if len(bounds) == _TWO else middle


def _percent(ratio: float) -> str:
    """Without its sign, and where it is large without what is small of it."""
    more = (ratio - 1) * 100
    if more >= _ENDLESS:
        return f">{_ENDLESS}"
    return f"{more:+.0f}" if more >= _LARGE else percent(ratio).removesuffix(" %")


def _answer(change: Change | None) -> Text:
    from rich.text import Text

    return Text(change.answer, style=_ANSWERS.get(change.outcome, "")) if change else Text("")


_ANSWERS: Mapping[Outcome, str] = {
    Outcome.WORSE: "bold red",
    Outcome.UNDECIDED: "yellow",
    Outcome.NOT_WORSE: "green",
}

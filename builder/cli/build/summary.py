"""What a run of the chain came to, on one screen."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from rich.table import Table

    from builder.chain.report import Report
    from builder.gates.verdict import Verdict
    from builder.tracking.changes import Changes

_TITLES = 5
"""Commits that are shown by title."""
_RATIO = " ratio"
_SPEEDS = 3
"""Figures that are shown."""


def summary(report: Report, logs: Path) -> Table:
    """What was built, from which commits, what was said of it, and what was adopted."""
    from rich.table import Table
    from rich.text import Text

    from builder.console import printable

    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for title, text in (*_image(report), *_commits(report.news), *_verdicts(report), *_end(report)):
        table.add_row(title, Text(printable(text)))
    table.add_row("log", str(logs))
    table.add_row("time", _times(report))
    return table


def _image(report: Report) -> Iterator[tuple[str, str]]:
    from builder.console import spell_size

    built = report.built
    if built.references:
        yield "image", built.references[0]
        yield from (("", reference) for reference in built.references[1:])
        yield "id", built.image.id
        yield "size", spell_size(built.image.size)
    else:
        yield "image", "none: it did not pass and is not kept"
    yield "tests", built.tests.reference or f"none: {built.tests.reason}"


def _commits(news: Changes | None) -> Iterator[tuple[str, str]]:
    if news is None or not news.commits:
        return
    title, count = "..".join(news.title), len(news.commits)
    how = "adds" if news.relation.added else "goes back"
    first, second = news.first.name, news.second.name
    yield (
        "upstream",
        f"{second} {how} {count} commit{'' if count == 1 else 's'} {'to' if how == 'adds' else 'from'} {first}",
    )
    telling = [one for one in news.commits if one.areas]
    yield from (("", f"{one.areas[0].value}: {one.subject}") for one in telling[:_TITLES])
    if len(telling) > _TITLES:
        yield "", f"and {len(telling) - _TITLES} more for GPU servers: builder upstream log {title}"


def _verdicts(report: Report) -> Iterator[tuple[str, str]]:
    if report.until == "built" or not report.built.references:
        yield "version", f"{report.built.verdict.outcome.value}: {report.built.verdict.reasons[0]}"
        return
    if report.before:
        yield "known", ", ".join(f"{entry.gate} {entry.outcome}" for entry in report.before)
    for verdict in report.verdicts:
        yield _name(verdict), _spell(verdict)
    yield from (("speed", text) for text in _speeds(report))
    yield from (("lacks", lack.why) for lack in report.known.lacks if not report.verdicts or lack.verdict is None)


def _speeds(report: Report) -> Iterator[str]:
    """What it does beside the adopted image, a line for each profile."""
    for verdict in report.verdicts:
        found = {name: value for name, value in verdict.measurements.items() if name.endswith(_RATIO)}
        told = [
            f"{name.removesuffix(_RATIO)} {(value - 1) * 100:+.1f} %"
            for name, value in found.items()
            if isinstance(value, float)
        ]
        if told:
            more = f" and {len(told) - _SPEEDS} more" if len(told) > _SPEEDS else ""
            yield f"{', '.join(told[:_SPEEDS])}{more} against the adopted one ({verdict.measurements.get('profile')})"


def _end(report: Report) -> Iterator[tuple[str, str]]:
    promotion = report.promotion
    if promotion is None:
        if report.until == "promoted":
            yield "adopted", "not this one"
        return
    adopted = promotion.draft.sites[0].adopted
    if promotion.result == "already":
        yield "adopted", f"{adopted.subject} names it already"
        return
    yield "adopted", f"{adopted.subject} names {promotion.draft.target.shown} now"
    if adopted.names:
        yield "back", "builder rollback --why REASON"


def _times(report: Report) -> str:
    from builder.console import spell_duration

    told = [f"{name} {spell_duration(seconds)}" for name, seconds in report.seconds]
    found = " (the image was there for the same inputs)" if report.built.found else ""
    return ", ".join(told) + found


def _name(verdict: Verdict) -> str:
    profile = verdict.measurements.get("profile")
    return f"{verdict.gate} ({profile})" if profile else verdict.gate


def _spell(verdict: Verdict) -> str:
    from builder.console import spell_duration

    reason = "" if verdict.outcome.value == "pass" else f": {verdict.reasons[0]}"
    return f"{verdict.outcome.value}, {spell_duration(verdict.seconds)}{reason}"

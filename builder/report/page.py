"""One page that holds everything: no network, no script, light and dark, on a phone and on paper."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from builder.console import printable, spell_size
from builder.performance.archive import work_of
from builder.performance.comparison import Outcome
from builder.performance.samples import Better
from builder.report.figures import Change, Figure, figures_of, set_aside
from builder.report.headline import Tone, headline_of
from builder.report.lines import charts_of
from builder.report.names import explain_name, short_digest, spell_course, titles
from builder.report.past import past_of
from builder.report.plots.course import course
from builder.report.plots.distribution import distribution
from builder.report.plots.forest import loss_of, ruler, scale_of_losses, strip
from builder.report.plots.history import history_plot
from builder.report.plots.svg import markup
from builder.report.plots.timeline import timeline
from builder.report.soak import readings, soak_headline, spell_load

if TYPE_CHECKING:
    from builder.performance.archive import Entry, Side
    from builder.performance.record import Record, SubjectRecord
    from builder.performance.soak.record import SoakRecord

_TEMPLATE = "page.html.j2"
_TONES: Mapping[Outcome, Tone] = {
    Outcome.NOT_WORSE: Tone.GOOD,
    Outcome.WORSE: Tone.BAD,
    Outcome.UNDECIDED: Tone.OPEN,
    Outcome.TOLD: Tone.PLAIN,
}
_SAID: Mapping[str, Tone] = {"pass": Tone.GOOD, "fail": Tone.BAD, "could not judge": Tone.OPEN}
_TWO = 2

Part = Mapping[str, Any]
"""What a part of the template is filled with."""


def page(
    record: Record | None = None,
    *,
    soak: SoakRecord | None = None,
    history: Sequence[tuple[Entry, Side]] = (),
    adopted: Collection[str] = (),
    said: Sequence[str] = (),
) -> str:
    """A comparison, a soak, or both, with the builds before them, as HTML.

    Args:
        history: what was measured before, see `builder.performance.archive.history`.
        adopted: IDs of images that were adopted at some time.
        said: a recommendation in sentences, where a comparison has more than two subjects.

    Raises:
        ValueError: there is neither a comparison nor a soak.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    shown = record or soak
    if shown is None:
        raise ValueError("a page needs a comparison or a soak")
    environment = Environment(
        loader=PackageLoader("builder.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_printed,
    )
    return environment.get_template(_TEMPLATE).render(
        title=_title(record, soak),
        bench=_bench(record, said) if record else None,
        soak=_soak(soak) if soak else None,
        past=list(_past(record, history, adopted)) if record else [],
        about=list(_about(shown)),
    )


def _printed(value: object) -> object:
    """Text without what is no letter; a number stays beside its sign of per cent. Markup is left as it is."""
    return printable(value).replace(" %", "\N{NO-BREAK SPACE}%") if type(value) is str else value


def _title(record: Record | None, soak: SoakRecord | None) -> str:
    if record:
        return f"{' against '.join(titles(record).values())}: bench"
    return f"{soak.subject.build or soak.subject.reference}: soak" if soak else ""


def _bench(record: Record, said: Sequence[str]) -> Part:
    figures = figures_of(record)
    names = titles(record)
    return {
        "headline": headline_of(record, figures, said),
        "course": f"{spell_course(record)}. {record.started:%Y-%m-%d %H:%M %Z}".strip(),
        "subjects": [_subject(subject, names[subject.name]) for subject in record.subjects],
        "confidence": f"{record.rules.confidence * 100:g} %",
        "forests": list(_forests(record, figures)),
        "cards": [_card(figure, names) for figure in figures],
        "set_aside": set_aside(record, figures),
        "notes": record.notes,
    }


def _subject(subject: SubjectRecord, title: str) -> Part:
    return {
        "name": subject.name,
        "title": title,
        "told": "" if title == subject.reference else title,
        "reference": subject.reference,
        "image": subject.image,
        "short": short_digest(subject.image),
    }


def _forests(record: Record, figures: Sequence[Figure]) -> Iterator[Part]:
    """One for each subject but the first, where there was anything to compare."""
    first, *others = (subject.name for subject in record.subjects)
    names = titles(record)
    for place, name in enumerate(others, start=1):
        changed = [(figure, figure.changes[name]) for figure in figures if name in figure.changes]
        losses = [loss_of(change, figure.metric) for figure, change in changed]
        if not changed:
            continue
        axis = scale_of_losses(losses)
        rows = [
            {
                "decides": change.allowed is not None,
                **_changed(figure, change),
                "strip": markup(strip(loss, axis, place, f"{figure.name}: {change.words or 'no change is known'}.")),
            }
            for (figure, change), loss in zip(changed, losses, strict=True)
        ]
        title = f"{name} ({names[name]}) against {first} ({names[first]})"
        decides = any(change.allowed is not None for _, change in changed)
        yield {"title": title, "ruler": markup(ruler(axis)), "rows": rows, "decides": decides}


def _changed(figure: Figure, change: Change | None) -> Part:
    return {
        "name": figure.name,
        "told": explain_name(figure.name),
        "words": change.words if change else "",
        "answer": change.answer if change else "",
        "tone": _TONES[change.outcome] if change else Tone.PLAIN,
    }


def _card(figure: Figure, names: Mapping[str, str]) -> Part:
    change = next(iter(figure.changes.values())) if len(names) == _TWO and figure.changes else None
    return {
        **_changed(figure, change),
        "better": "less" if figure.metric.better is Better.LOWER else "more",
        "distribution": markup(distribution(figure, names)) if figure.values else "",
        "course": markup(course(figure, list(names))) if figure.points else "",
    }


def _soak(record: SoakRecord) -> Part:
    seconds = record.seen().seconds
    return {
        "headline": soak_headline(record),
        "course": f"{spell_load(record)}. {record.started:%Y-%m-%d %H:%M %Z}".strip(),
        "subjects": [_subject(record.subject, record.subject.build)],
        "checks": [{**check.model_dump(), "tone": _SAID[check.outcome]} for check in record.checks],
        "charts": [
            {
                "title": chart.title,
                "lines": [line.name for line in chart.lines],
                "marked": chart.marked if chart.marks else "",
                "plot": markup(timeline(chart, seconds)),
            }
            for chart in charts_of(record)
        ],
        "readings": [(reading.name, reading.words) for reading in readings(record)],
        "notes": record.notes,
    }


def _past(record: Record, history: Sequence[tuple[Entry, Side]], adopted: Collection[str]) -> Iterator[Part]:
    machine = ", ".join(gpu.name for gpu in record.machine.gpus) or record.machine.processor
    first = record.subjects[0]
    for past in past_of(history, adopted, machine=machine, profile=first.profile, work=work_of(record, first)):
        yield {"name": past.name, "told": explain_name(past.name), "plot": markup(history_plot(past))}


def _about(shown: Record | SoakRecord) -> Iterable[tuple[str, str]]:
    machine, first = shown.machine, _first(shown)
    yield "model", f"{first.model.name}, {spell_size(first.model.size)}, {first.model.digest}"
    for gpu in machine.gpus:
        limit = f", at most {gpu.power_limit:.0f} W" if gpu.power_limit else ""
        yield "GPU", f"{gpu.name}, {spell_size(gpu.memory)}, driver {gpu.driver}{limit}, {gpu.uuid}"
    yield "processor", f"{machine.processor or 'unknown'}, {machine.cores} cores, {spell_size(machine.memory)}"
    yield "system", f"{machine.system}, kernel {machine.kernel}, engine {machine.engine}"
    yield "profile", f"{first.profile}: {', '.join(f'{key} {value}' for key, value in first.settings.items())}"
    yield "asked for", ", ".join(f"{key} {value}" for key, value in shown.arguments.items())
    yield "measured by", f"version {shown.product}"


def _first(shown: Record | SoakRecord) -> SubjectRecord:
    from builder.performance.soak.record import SoakRecord

    return shown.subject if isinstance(shown, SoakRecord) else shown.subjects[0]

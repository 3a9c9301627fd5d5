"""What was measured in Prometheus' text format, for node_exporter's textfile collector.

Every series has labels that say of what it is: files of several profiles may lie side by side for the collector.
One family for each kind of figure, named after it with its base unit, such as `builder_bench_ttft_seconds`; each value
is what a run usually comes to, as the median over the runs that count.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from builder.performance.comparison import Outcome
from builder.performance.metrics import TOLD
from builder.report.figures import Figure, figures_of
from builder.report.soak import readings
from builder.staging import write_whole

if TYPE_CHECKING:
    from pathlib import Path

    from prometheus_client import Metric as Family

    from builder.performance.record import MachineRecord, Record, SubjectRecord
    from builder.performance.soak.record import SoakRecord

_BENCH, _SOAK = "builder_bench", "builder_soak"
_UNITS: Mapping[str, tuple[str, float]] = {
    "s": ("seconds", 1.0),
    "MiB": ("bytes", 2.0**20),
    "tokens/s": ("tokens_per_second", 1.0),
    "vectors/s": ("vectors_per_second", 1.0),
    "ratio": ("ratio", 1.0),
}
"""Base units by ours, and what a value is multiplied by."""
_FOREIGN = re.compile(r"[^a-z0-9]+")
_OURS = re.compile(
    rf"{_BENCH}(_(runs|outcome|whole|subject|(change(_low|_high)?|allowed)_ratio|(started|ended)_timestamp_seconds))?"
    r"|.*_(total|info|created)"
)
"""Names of families that are no figure's, and endings that have a meaning in the format."""
_WHO = ("subject", "profile", "image", "build", "gpu")
_COUNTED = ("requests", "errors")
_SAID = ("pass", "fail", "could not judge")


@dataclass(frozen=True)
class _Sample:
    name: str
    told: str
    labels: Mapping[str, str]
    value: float
    counter: bool = False


def exposition(record: Record | None = None, soak: SoakRecord | None = None) -> str:
    """A comparison, a soak, or both."""
    samples = [*(_of_bench(record) if record else ()), *(_of_soak(soak) if soak else ())]
    return _written(samples)


def write_exposition(file: Path, record: Record | None = None, soak: SoakRecord | None = None) -> None:
    """Write it so that a collector never reads half of it.

    Raises:
        MachineError: the disk is full or may not be written to.
    """
    write_whole(file, exposition(record, soak).encode())
    file.chmod(0o644)


def _of_bench(record: Record) -> Iterator[_Sample]:
    figures = figures_of(record)
    who = {subject.name: _who(subject, record.machine) for subject in record.subjects}
    for subject in record.subjects:
        yield _info(_BENCH, "What was measured.", subject, who[subject.name], record.product)
    for figure in figures:
        yield from _values(figure, who)
        yield from _changes(figure, who)
    for name, labels in who.items():
        for counted, told in ((True, "yes"), (False, "no")):
            runs = sum(run.subject == name and bool(run.set_aside) is not counted for run in record.runs)
            help_ = "Runs that were measured, by whether they count."
            yield _Sample(f"{_BENCH}_runs_total", help_, {**labels, "counts": told}, runs, counter=True)
    profile = {"profile": record.subjects[0].profile}
    for outcome in Outcome:
        help_ = "1 for what came of the comparison, 0 for what did not."
        yield _Sample(f"{_BENCH}_outcome", help_, {**profile, "outcome": outcome.value}, record.outcome is outcome)
    yield _Sample(f"{_BENCH}_whole", "Whether it was measured to its end.", profile, record.whole)
    yield from _times(_BENCH, record, profile)


def _values(figure: Figure, who: Mapping[str, Mapping[str, str]]) -> Iterator[_Sample]:
    kind = figure.metric.name.partition("/")[0]
    unit, factor = _UNITS.get(figure.metric.unit, (_plain(figure.metric.unit), 1.0))
    told = f"{TOLD.get(kind, kind)}, median over runs.".capitalize()
    family = _family(_BENCH, kind, unit)
    family = f"{family}_figure" if _OURS.fullmatch(family) else family
    for name, value in figure.values.items():
        yield _Sample(family, told, {**who[name], **_which(figure)}, value * factor)


def _changes(figure: Figure, who: Mapping[str, Mapping[str, str]]) -> Iterator[_Sample]:
    first = next(iter(who))
    for name, change in figure.changes.items():
        labels = {**who[name], "against": who[first]["image"], **_which(figure)}
        known = {
            "change": (change.ratio, "Estimate of the ratio to the first subject."),
            "change_low": (change.low, "Lower end of the ratio's interval."),
            "change_high": (change.high, "Upper end of the ratio's interval."),
            "allowed": (change.allowed, "How much worse the figure may be, as a share."),
        }
        for kind, (value, told) in known.items():
            if value is not None:
                yield _Sample(f"{_BENCH}_{kind}_ratio", told, labels, value)


def _of_soak(record: SoakRecord) -> Iterator[_Sample]:
    who = _who(record.subject, record.machine)
    yield _info(_SOAK, "What was under load.", record.subject, who, record.product)
    for reading in readings(record):
        told = f"{reading.name}, over the whole soak.".capitalize()
        if reading.name in _COUNTED:
            yield _Sample(f"{_SOAK}_{reading.name}_total", told, who, reading.value, counter=True)
            continue
        unit, factor = _UNITS.get(reading.unit, ("", 1.0))
        yield _Sample(_family(_SOAK, reading.name, unit), told, who, reading.value * factor)
    for check in record.checks:
        for outcome in _SAID:
            labels = {**who, "check": check.name, "outcome": outcome}
            help_ = "1 for what came of a check, 0 for what did not."
            yield _Sample(f"{_SOAK}_check", help_, labels, check.outcome == outcome)
    for outcome in _SAID:
        help_ = "1 for what came of the soak, 0 for what did not."
        yield _Sample(f"{_SOAK}_outcome", help_, {**who, "outcome": outcome}, record.outcome == outcome)
    yield _Sample(f"{_SOAK}_whole", "Whether the load ran to its end.", who, record.whole)
    yield from _times(_SOAK, record, who)


def _times(prefix: str, record: Record | SoakRecord, labels: Mapping[str, str]) -> Iterator[_Sample]:
    yield _Sample(f"{prefix}_started_timestamp_seconds", "When it began.", labels, record.started.timestamp())
    if record.ended:
        yield _Sample(f"{prefix}_ended_timestamp_seconds", "When it ended.", labels, record.ended.timestamp())


def _info(prefix: str, told: str, subject: SubjectRecord, who: Mapping[str, str], product: str) -> _Sample:
    labels = {
        **who,
        "reference": subject.reference,
        "repository": subject.repository,
        "channel": subject.channel,
        "model": subject.model.name,
        "model_digest": subject.model.digest,
        "product": product,
    }
    return _Sample(f"{prefix}_subject_info", told, labels, 1)


def _who(subject: SubjectRecord, machine: MachineRecord) -> Mapping[str, str]:
    gpus = ", ".join(dict.fromkeys(gpu.name for gpu in machine.gpus))
    return dict(zip(_WHO, (subject.name, subject.profile, subject.image, subject.build, gpus), strict=True))


def _which(figure: Figure) -> Mapping[str, str]:
    return {"metric": figure.metric.name, "statistic": str(figure.statistic)}


def _family(prefix: str, kind: str, unit: str) -> str:
    name = _plain(kind)
    return "_".join(filter(None, (prefix, name if not unit.startswith(f"{name}_") else "", unit)))


def _plain(name: str) -> str:
    """A foreign name as part of a metric's name."""
    return _FOREIGN.sub("_", name.lower()).strip("_")


def _written(samples: Iterable[_Sample]) -> str:
    from prometheus_client import CollectorRegistry, generate_latest

    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collected(list(_families(samples))))
    return generate_latest(registry).decode()


def _families(samples: Iterable[_Sample]) -> Iterator[Family]:
    from prometheus_client import Metric as Family

    found: dict[str, Family] = {}
    for sample in samples:
        kind = "counter" if sample.counter else "gauge"
        family = found.setdefault(sample.name, Family(sample.name.removesuffix("_total"), sample.told, kind))
        family.add_sample(sample.name, dict(sample.labels), float(sample.value))
    yield from found.values()


@dataclass(frozen=True, eq=False)
class _Collected:
    """What the library asks for: something that gives families."""

    families: Sequence[Family]

    def collect(self) -> Iterable[Family]:
        return self.families

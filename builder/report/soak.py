"""A soak's record as every report shows it, before it is told in its own words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from builder.console import spell_duration
from builder.performance.sentences import plural
from builder.report.headline import Headline, Tone
from builder.report.names import spell_machine
from builder.report.numbers import scale_of

if TYPE_CHECKING:
    from builder.performance.soak.record import SoakRecord

_SUFFIXES: Mapping[str, str] = {"_s": "s", "_mib": "MiB", "_share": "ratio"}
"""By which a figure's name says its unit."""
_UNITS: Mapping[str, str] = {"tokens_per_s": "tokens/s", "processor_busiest_minute": "ratio"}
"""Of figures whose names end otherwise."""


@dataclass(frozen=True)
class Reading:
    """One figure that a soak comes to.

    Attributes:
        name: without its unit.
        value: in the unit.
    """

    name: str
    unit: str
    value: float

    @property
    def words(self) -> str:
        """With its unit."""
        return scale_of([self.value], self.unit).spell(self.value)


def readings(record: SoakRecord) -> tuple[Reading, ...]:
    """The figures that are known, in the order of the record."""
    return tuple(_reading(name, value) for name, value in record.figures.items() if value is not None)


def soak_headline(record: SoakRecord) -> Headline:
    """The answer that a soak gives, and what to do."""
    name = record.subject.build or record.subject.reference
    failing = [check for check in record.checks if check.outcome == "fail"]
    if not record.whole:
        why = record.interrupted.rstrip(".") or "the load still runs, or was killed"
        told = f"{name} failed already: {failing[0].detail}" if failing else f"{name} under load: nothing amiss so far."
        return Headline(Tone.BAD if failing else Tone.OPEN, f"{told} This is not whole: {why}.", "Run it to its end.")
    match record.outcome:
        case "pass":
            return Headline(Tone.GOOD, f"{name} held the load: {plural(len(record.checks), 'check')} passed.", "")
        case "fail":
            others = f" {plural(len(failing) - 1, 'more check')} failed." if len(failing) > 1 else ""
            told = failing[0].detail if failing else ""
            return Headline(Tone.BAD, f"{name} did not hold the load. {told}{others}".strip(), "Do not adopt it.")
        case _:
            unjudged = next((check.detail for check in record.checks if check.outcome == "could not judge"), "")
            return Headline(Tone.OPEN, f"{name} under load could not be judged. {unjudged}".strip(), "")


def spell_load(record: SoakRecord) -> str:
    """How long it lasted, on what, with which profile and model."""
    took = f"{spell_duration((record.ended - record.started).total_seconds())} " if record.ended else ""
    subject = record.subject
    where = spell_machine(record.machine)
    asked = plural(len(record.requests), "request")
    return f"{asked}, {took}on {where}; profile {subject.profile}, model {subject.model.name}"


def _reading(name: str, value: float) -> Reading:
    if unit := _UNITS.get(name):
        return Reading(_spaced(name.removesuffix("_per_s")), unit, value)
    suffix = next((suffix for suffix in _SUFFIXES if name.endswith(suffix)), "")
    return Reading(_spaced(name.removesuffix(suffix)), _SUFFIXES.get(suffix, ""), value)


def _spaced(name: str) -> str:
    return name.replace("_", " ")

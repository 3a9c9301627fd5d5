"""Whether two records may be held against each other, and what to say beside it where they may."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from builder.performance.record import MachineRecord, Record, SubjectRecord

_APART = 1.0
"""Days after which the time between is worth saying."""
_SECONDS = 86_400
HOW_OFTEN = ("effort", "times", "turns", "repetitions")
"""Arguments that say how often a thing is asked, which makes figures surer and no others."""


@dataclass(frozen=True)
class Comparability:
    """Whether a comparison is sound.

    Attributes:
        refusals: why it is not, a sentence each; empty where it is.
        caveats: what may stand behind a difference besides the subjects, a sentence each.
    """

    refusals: tuple[str, ...]
    caveats: tuple[str, ...]

    @property
    def sound(self) -> bool:
        """Whether the two may be compared."""
        return not self.refusals


def comparable(before: Record, after: Record, subjects: tuple[str, str] = ("A", "A")) -> Comparability:
    """Whether a subject of one record may be held against a subject of another.

    Another GPU model, another number of GPUs, another processor or number of cores where there is no GPU, another model
    file, and other arguments make other figures of the same image: that is refused. Another machine with the same
    parts, another driver, kernel, engine or power limit, another profile, another version of the measuring program, how
    often a thing was asked and the time between are said. A machine of which the parts are not known is refused:
    unknown is not equal.

    Args:
        subjects: their names in the two records.
    """
    first, second = before.subject(subjects[0]), after.subject(subjects[1])
    if first is None or second is None:
        missing = subjects[0] if first is None else subjects[1]
        return Comparability((f"One record has no subject {missing}.",), ())
    refusals = (*_other_parts(before.machine, after.machine), *_other_work(before, after, first, second))
    return Comparability(refusals, tuple(_caveats(before, after, first, second)))


def _other_parts(before: MachineRecord, after: MachineRecord) -> Iterator[str]:
    models = [sorted(gpu.name for gpu in machine.gpus) for machine in (before, after)]
    if models[0] != models[1]:
        yield f"The GPUs differ: {_listed(models[0])} before, {_listed(models[1])} after."
    if any(models):
        return
    if not (before.processor and after.processor):
        yield "There is no GPU, and the processor of a machine is not known."
    elif before.processor != after.processor:
        yield f"The processors differ: {before.processor} before, {after.processor} after."
    if before.cores != after.cores:
        yield f"The numbers of cores differ: {before.cores} before, {after.cores} after."


def _other_work(before: Record, after: Record, first: SubjectRecord, second: SubjectRecord) -> Iterator[str]:
    if first.model.digest != second.model.digest:
        yield f"The models differ: {first.model.name} before, {second.model.name} after, with other contents."
    keys = sorted({*before.arguments, *after.arguments} - {*HOW_OFTEN})
    other = [key for key in keys if before.arguments.get(key) != after.arguments.get(key)]
    if other:
        told = "; ".join(f"{key} {before.arguments.get(key, '-')}, {after.arguments.get(key, '-')}" for key in other)
        yield f"Other things were measured: {told}."
    if not {metric.name for metric in before.metrics} & {metric.name for metric in after.metrics}:
        yield "No figure is in both records."


def _caveats(before: Record, after: Record, first: SubjectRecord, second: SubjectRecord) -> Iterator[str]:
    yield from _machine_caveats(before.machine, after.machine)
    keys = sorted({*first.settings, *second.settings})
    other = [key for key in keys if first.settings.get(key) != second.settings.get(key)]
    if other:
        told = ", ".join(f"{key} {first.settings.get(key, '-')} and {second.settings.get(key, '-')}" for key in other)
        yield f"The profiles differ: {told}."
    if any(before.arguments.get(key) != after.arguments.get(key) for key in HOW_OFTEN):
        yield "They asked unequally often."
    if before.product != after.product:
        yield f"Two versions of this program measured: {before.product} and {after.product}."
    for record, words in ((before, "first"), (after, "second")):
        if not record.whole:
            yield f"The {words} record is not whole: {record.interrupted or 'it was still being measured'}."
    days = abs((after.started - before.started).total_seconds()) / _SECONDS
    apart = f", {days:.0f} days apart" if days >= _APART else ""
    yield f"They were not measured by turns{apart}: what the machine did in the meantime is part of the difference."


def _machine_caveats(before: MachineRecord, after: MachineRecord) -> Iterator[str]:
    uuids = [sorted(gpu.uuid for gpu in machine.gpus) for machine in (before, after)]
    if before.host != after.host or not before.host:
        yield "They are, or may be, two machines with the same parts."
    elif uuids[0] != uuids[1]:
        yield "Another GPU of the same machine was measured on."
    for what, one, two in (
        ("driver", _drivers(before), _drivers(after)),
        ("power limit", _limits(before), _limits(after)),
        ("processor", before.processor, after.processor),
        ("kernel", before.kernel, after.kernel),
        ("engine", before.engine, after.engine),
    ):
        if one != two:
            yield f"Another {what}: {one or 'unknown'} before, {two or 'unknown'} after."


def _drivers(machine: MachineRecord) -> str:
    return _listed(sorted({gpu.driver for gpu in machine.gpus})) if machine.gpus else ""


def _limits(machine: MachineRecord) -> str:
    limits = sorted({f"{gpu.power_limit:g} W" for gpu in machine.gpus if gpu.power_limit is not None})
    return _listed(limits) if limits else ""


def _listed(names: list[str]) -> str:
    return ", ".join(names) or "none"

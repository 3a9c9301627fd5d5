"""Names of figures and subjects in the words of people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

from builder.console import spell_duration
from builder.performance.lengths import LONG, NEAR, SHORT
from builder.performance.metrics import TOLD
from builder.performance.sentences import plural

if TYPE_CHECKING:
    from builder.performance.record import MachineRecord, Record, SubjectRecord

_DIGITS = 12
"""Of a digest: enough to tell images of one engine apart."""
_ROOM = 28
"""Letters of a subject's words that fit beside a value in a plot on a phone."""
_OF_WHAT: Mapping[str, str] = {
    SHORT: "short prompts",
    LONG: "prompts of 2k tokens",
    NEAR: "prompts near the context",
    "alone": "one user",
    "batch": "many texts at once",
    "healthy": "until it is healthy",
    "first-request": "the first request",
    "container": "of the container",
    "gpu": "of the GPU",
    "load": "under load",
}
_WHAT: Mapping[str, str] = {
    **TOLD,
    "prompt": "prompt speed",
    "generation": "generation speed",
    "throughput": "speed of all users together",
    "vectors": "vectors",
    "llama-bench": "llama-bench",
    "start": "start",
    "memory": "memory",
    "processor": "processor time",
}


def explain_name(name: str) -> str:
    """What a figure's name says, such as `time to first token, prompts of 2k tokens` for `ttft/2k`."""
    kind, _, rest = name.partition("/")
    qualifier, _, statistic = rest.partition(" ")
    of_what = f"{qualifier} users" if qualifier.isdecimal() else _OF_WHAT.get(qualifier, qualifier)
    return ", ".join(filter(None, (_WHAT.get(kind, kind), of_what, statistic)))


def titles(record: Record) -> Mapping[str, str]:
    """What tells the subjects apart: builds, else names, else what is set otherwise; by the subject's name."""
    for told in (_build, _reference, _overrides, _image):
        found = {subject.name: told(subject) for subject in record.subjects}
        if all(found.values()) and len(set(found.values())) == len(found):
            return found
    return {subject.name: _reference(subject) for subject in record.subjects}


def shortened(words: str) -> str:
    """Words as far as a narrow plot has room for them: their beginning and their end, which tells them apart."""
    if len(words) <= _ROOM:
        return words
    end = (_ROOM - 1) * 2 // 3
    return f"{words[: _ROOM - 1 - end]}…{words[-end:]}"


def short_digest(digest: str) -> str:
    """A digest as far as a person reads it."""
    algorithm, colon, rest = digest.partition(":")
    return f"{algorithm}:{rest[:_DIGITS]}" if colon else digest[: 2 * _DIGITS]


def spell_course(record: Record) -> str:
    """How long it was measured, on what, with which profile and model."""
    rounds = plural(len({run.round for run in record.runs}), "round")
    took = f" in {spell_duration((record.ended - record.started).total_seconds())}" if record.ended else ""
    first = record.subjects[0]
    return f"{rounds}{took} on {spell_machine(record.machine)}; profile {first.profile}, model {first.model.name}"


def spell_machine(machine: MachineRecord) -> str:
    """The GPUs that were measured on, else the processor."""
    gpus = Counter(gpu.name for gpu in machine.gpus)
    told = [name if number == 1 else f"{number} x {name}" for name, number in gpus.items()]
    return ", ".join(told) or machine.processor or "an unknown processor"


def _build(subject: SubjectRecord) -> str:
    return subject.build


def _reference(subject: SubjectRecord) -> str:
    return subject.reference


def _overrides(subject: SubjectRecord) -> str:
    return ", ".join(f"{key}={value}" for key, value in subject.overrides.items()) or "as configured"


def _image(subject: SubjectRecord) -> str:
    return short_digest(subject.image)

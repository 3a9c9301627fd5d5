"""A subject made ready: its model, and all that is wanted in the words of its image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from builder.engine.throwaway import SANDBOX
from builder.performance.errors import CouldNotMeasure
from builder.performance.llama_bench import BenchProgram, find_bench
from builder.performance.model_digest import digest_of_model
from builder.performance.subject import BenchSubject
from builder.performance.tools import Tools
from builder.process import CommandTimeout
from builder.server.access import access_of
from builder.server.flags import Telling, arguments
from builder.server.help import Help, parse_help
from builder.server.profile import ServedModel, model_of
from builder.server.running import PORT, Serving, model_in_container
from builder.server.startup import Driver, Ending, explain

if TYPE_CHECKING:
    from builder.profiles import Profile

_LIMIT = 120.0
"""Seconds; a cold image is read from disk first."""


@dataclass(frozen=True)
class Prepared:
    """A subject that can be measured again and again.

    Attributes:
        digest: of the model's file, `sha256:` before it.
        bench: its llama-bench; None where it has none.
        notes: a sentence for each thing that a person should know of how it is measured.
    """

    subject: BenchSubject
    model: ServedModel
    digest: str
    serving: Serving
    bench: BenchProgram | None
    notes: tuple[str, ...]


def prepare(subjects: Sequence[BenchSubject], tools: Tools) -> tuple[Prepared, ...]:
    """Make ready what is measured; what subjects have in common is looked at once.

    Raises:
        UsageError: the profile names no model file.
        CouldNotMeasure: an image computes on a GPU and none is given, does not start, or has no word for what is to be
            otherwise.
        MachineError: no engine answers, or the disk is full.
    """
    if not tools.engine.is_local:
        raise CouldNotMeasure(
            "The engine is on another machine, where a server listens to that machine only.", "Measure there."
        )
    for subject in subjects:
        _require_gpu(subject, tools)
    models = {subject.profile.model: subject for subject in subjects}
    found = {name: _model(subject, tools) for name, subject in models.items()}
    images = {subject.image.id: subject for subject in subjects}
    words = {image: _help(subject, tools) for image, subject in images.items()}
    programs = {image: find_bench(image, _gpu(subject, tools), tools) for image, subject in images.items()}
    return tuple(
        _prepared(subject, found[subject.profile.model], words[subject.image.id], programs[subject.image.id], tools)
        for subject in subjects
    )


def _prepared(subject: BenchSubject, found: _Model, known: Help, bench: BenchProgram | None, tools: Tools) -> Prepared:
    profile = subject.profile
    told = arguments(profile, known, model_in_container(found.served.path), PORT, telling=Telling.USUAL)
    notes = tuple(note for note in told.notes if subject.on_gpu or "gpu-layers" not in note)
    _require_settings(subject, notes)
    options = (*_gpu(subject, tools), *_variables(profile))
    memory = tools.memory(profile.memory_limit)
    access = access_of(profile, known)
    serving = Serving(subject.image.id, told.words, found.served.path, memory, options, access)
    missing = () if bench else (f"{subject.reference} has no llama-bench: the server alone is measured.",)
    return Prepared(subject, found.served, found.digest, serving, bench, (*subject.variation.notes, *notes, *missing))


@dataclass(frozen=True)
class _Model:
    served: ServedModel
    digest: str


def _require_gpu(subject: BenchSubject, tools: Tools) -> None:
    if subject.on_gpu and not tools.gpu_options:
        raise CouldNotMeasure(
            f"{subject.reference} computes on a GPU, and none was given to measure it with.",
            "Measure it where containers get a GPU, see `builder doctor`.",
        )


def _gpu(subject: BenchSubject, tools: Tools) -> tuple[str, ...]:
    return tools.gpu_options if subject.on_gpu else ()


def _model(subject: BenchSubject, tools: Tools) -> _Model:
    """The model of the profile as it is varied; a file named by a variation counts from the working folder."""
    name, config = subject.profile_name, tools.config
    settings = config.settings.model_copy(update={"profiles": {**config.settings.profiles, name: subject.profile}})
    sources = {**config.sources, **{f"profiles.{name}.{key}": "--set" for key in subject.variation.settings}}
    varied = replace(config, settings=settings, sources=sources)
    served = model_of(name, varied, tools.paths.models, tools.reporter.notice)
    return _Model(served, digest_of_model(served))


def _variables(profile: Profile) -> tuple[str, ...]:
    return tuple(word for name, value in profile.environment.items() for word in ("--env", f"{name}={value}"))


def _help(subject: BenchSubject, tools: Tools) -> Help:
    options = (*SANDBOX, *_gpu(subject, tools))
    try:
        done = tools.engine.run_once(subject.image.id, ["--help"], options=options, timeout=_LIMIT, run_id=tools.run_id)
    except CommandTimeout as error:
        raise CouldNotMeasure(f"{subject.reference} printed no help within {_LIMIT:g} s.", "Run it by hand.") from error
    known = parse_help(done.stdout + done.stderr)
    if known.knows("--model"):
        return known
    failure = explain(Ending(done.returncode, done.stdout + done.stderr), "", Driver.HANDED)
    said = (failure.excerpt,) if failure.excerpt else ()
    raise CouldNotMeasure(f"{subject.reference} does not start. {failure.cause}", failure.remedy, excerpt=said)


def _require_settings(subject: BenchSubject, notes: tuple[str, ...]) -> None:
    """A wish that is not heard would make two subjects the same."""
    for key in subject.variation.settings:
        if unheard := next((note for note in notes if f" for {key}" in note), None):
            raise CouldNotMeasure(f"{subject.reference}: {unheard}", f"Leave {key} as it is.")

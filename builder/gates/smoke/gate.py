"""The smoke gate: an image serves a profile in a container, and everything that serving takes is tried once.

On a GPU it has to be the GPU that computes: a server that falls back to the CPU answers every request rightly.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from time import monotonic
from uuid import uuid4

from builder.gates.finding import Finding, bad, unknown
from builder.gates.gate import Scene, Subject
from builder.gates.serving.complaints import NAME as LOG
from builder.gates.serving.complaints import complaints
from builder.gates.serving.servable import not_servable
from builder.gates.serving.trial import Trial
from builder.gates.serving.words import ask_for_words
from builder.gates.smoke.course import looks_of, run_course
from builder.gates.smoke.devices import NAME as DEVICES
from builder.gates.smoke.devices import devices_in_log, list_devices
from builder.gates.smoke.placement import COMPUTES_ON, GRAPHS, OFFLOAD, placement
from builder.gates.verdict import Verdict, verdict_of
from builder.server.flags import Arguments, Telling, arguments
from builder.server.profile import model_of
from builder.server.running import PORT, model_in_container

NAME = "smoke"
_RANKING = frozenset({"--rerank", "--reranking"})


def judge_smoke(subject: Subject, profile_name: str, scene: Scene) -> Verdict:
    """Serve a profile with an image and look at everything that serving takes.

    Args:
        profile_name: a profile of the configuration.

    Raises:
        UsageError: the profile names no model file.
        CommandTimeout: the engine did not answer in time.
        MachineError: no engine answers, or the disk is full.
    """
    started = monotonic()
    log = scene.logs / f"{NAME}-{profile_name}-{uuid4().hex[:8]}.log"
    model = model_of(profile_name, scene.config, scene.paths.models, scene.reporter.notice)
    profile = scene.config.settings.profiles[profile_name]
    trial = Trial(subject.image, profile, model, scene.gpu_options, scene.gpu)
    findings = tuple(_findings(trial, scene, log))
    measured = {name: value for finding in findings for name, value in finding.measurements.items()}
    return verdict_of(
        NAME,
        subject.name,
        subject.image.id,
        [finding.check for finding in findings],
        measurements={"profile": profile_name, **measured},
        seconds=monotonic() - started,
        logs=(str(log),) if log.exists() else (),
        owed=owed(trial),
    )


def owed(trial: Trial) -> tuple[str, ...]:
    """Names of the checks without which an image does not pass."""
    place = (DEVICES, OFFLOAD, GRAPHS) if trial.on_gpu else (COMPUTES_ON,)
    return (*looks_of(trial.profile.kind), *place, LOG)


def _findings(trial: Trial, scene: Scene, log: Path) -> Iterator[Finding]:
    if refusal := not_servable(trial, scene.engine):
        yield refusal
        return
    if ranks(trial):
        yield unknown("embeddings", "A profile that ranks texts gives no vectors, and what it gives is not judged yet.")
        return
    known = ask_for_words(trial, scene.engine, scene.run_id)
    if isinstance(known, Finding):
        yield known
        return
    told = arguments(trial.profile, known, model_in_container(trial.model.path), PORT, telling=Telling.COMPUTING)
    yield from _wishes(trial, told)
    listed = list_devices(trial, known, scene.engine, scene.run_id) if trial.on_gpu else None
    course = run_course(trial, trial.serving(told.words, known, scene.engine.info().memory), scene, log)
    if trial.on_gpu:
        yield listed or devices_in_log(course.facts)
    yield from course.findings
    yield from placement(trial, course, known)
    if course.whole or course.facts.lines:
        yield complaints(course.facts)


def ranks(trial: Trial) -> bool:
    """Whether the profile is for ranking texts, which gives no vectors."""
    return trial.profile.pooling == "rank" or not _RANKING.isdisjoint(trial.profile.extra_arguments)


def _wishes(trial: Trial, told: Arguments) -> Iterator[Finding]:
    notes = [note for note in told.notes if trial.on_gpu or "gpu-layers" not in note]
    if notes:
        yield bad("profile", f"{' '.join(notes)} It cannot serve as the profile says.")

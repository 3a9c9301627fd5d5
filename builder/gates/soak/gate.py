"""The soak gate: an image serves a profile for half an hour while requests come at a rate of their own.

What a short look cannot see shows here: memory that grows, answers that come later and later, a server that dies after
a while, slots that are all taken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from signal import Signals
from time import monotonic
from uuid import uuid4

from builder.console import spell_duration
from builder.engine.machine_facts import look_at_machine
from builder.errors import BuilderError, InterruptedBySignal
from builder.gates.finding import Finding, bad
from builder.gates.gate import Scene, Subject
from builder.gates.serving.complaints import complaints
from builder.gates.serving.container_memory import container_memory
from builder.gates.serving.ending import not_started, stop
from builder.gates.serving.servable import not_servable
from builder.gates.serving.trial import Trial
from builder.gates.serving.words import ask_for_words
from builder.gates.soak.keeper import Keeper, Known
from builder.gates.soak.limits import Limits, load_of
from builder.gates.soak.process import health, out_of_memory, processor, same_process
from builder.gates.soak.requests import cache_hits, errors, queue, slots_full
from builder.gates.soak.steadiness import SHORTEST, Lasting, first_token, gpu_memory, memory
from builder.gates.soak.surroundings import delays, disturbances, doubts_on_trends, doubts_on_waits, unseen
from builder.gates.verdict import Verdict, verdict_of
from builder.performance.errors import CouldNotMeasure
from builder.performance.frame import host_of
from builder.performance.model_digest import digest_of_model
from builder.performance.soak.archive import store_of
from builder.performance.soak.figures import figures, rounded
from builder.performance.soak.progress import showing
from builder.performance.soak.run import Soaked, soak
from builder.plan.marks import STANDARD
from builder.server.answers import Deviation
from builder.server.flags import Arguments, Telling, arguments
from builder.server.log import LogFacts, read_log
from builder.server.profile import model_of
from builder.server.running import PORT, ServerNotStarted, ServerState, Serving, model_in_container, serve

NAME = "soak"
_CLIENT = 0.25
"""Of one core, what the asking may take before that is worth saying."""


@dataclass(frozen=True)
class _Course:
    """What came of one soak.

    Attributes:
        seen: None where the load never began.
        notes: sentences for people beside the findings.
        record: the file that holds this soak's record; None where none was written.
    """

    findings: tuple[Finding, ...]
    seen: Soaked | None = None
    notes: tuple[str, ...] = ()
    record: Path | None = None


def judge_soak(subject: Subject, profile_name: str, scene: Scene, *, place: Path | None = None) -> Verdict:
    """Put an image that serves a profile under load, and look whether it stands it.

    Args:
        profile_name: a profile of the configuration.
        place: a file or a folder for the record, which is also written while the load runs; None keeps it with those
            of earlier soaks.

    Returns:
        The measurement `record` names the file of this soak's record; it is None where no load began.

    Raises:
        UsageError: the profile names no model file.
        CommandTimeout: the engine did not answer in time.
        MachineError: no engine answers, or the disk is full.
    """
    started = monotonic()
    log = scene.logs / f"{NAME}-{profile_name}-{uuid4().hex[:8]}.log"
    file = _file(place, subject, profile_name, scene)
    profile = scene.config.settings.profiles[profile_name]
    model = model_of(profile_name, scene.config, scene.paths.models, scene.reporter.notice)
    trial = Trial(subject.image, profile, model, scene.gpu_options, scene.gpu)
    course = _soak(subject, profile_name, trial, scene, log, file)
    record = str(course.record) if course.record else None
    measured = {name: value for finding in course.findings for name, value in finding.measurements.items()}
    found = rounded(figures(course.seen.series, profile.slots, course.seen.cores)) if course.seen else {}
    verdict = verdict_of(
        NAME,
        subject.name,
        subject.image.id,
        [finding.check for finding in course.findings],
        measurements={"profile": profile_name, "record": record, **found, **measured},
        seconds=monotonic() - started,
        logs=(*([str(log)] if log.exists() else []), *([record] if record else [])),
    )
    return replace(verdict, reasons=(*verdict.reasons, *course.notes))


def _file(place: Path | None, subject: Subject, profile_name: str, scene: Scene) -> Path:
    """Where the record goes; several soaks put theirs side by side in a folder."""
    if place is not None and not place.is_dir():
        return place
    build = subject.image.labels.get(f"{STANDARD}version") or subject.name
    return store_of(place or scene.paths.soaks).place(datetime.now(UTC), (build, profile_name))


def _soak(subject: Subject, profile_name: str, trial: Trial, scene: Scene, log: Path, file: Path) -> _Course:
    prepared = _prepared(trial, scene)
    if isinstance(prepared, Finding):
        return _Course((prepared,))
    told, what = prepared
    wanted = scene.config.settings.soak
    limits = Limits.of(wanted, brief=scene.config.sources["soak.minutes"] == "command line")
    notes = tuple(note for note in told.notes if trial.on_gpu or "gpu-layers" not in note)
    machine = scene.machine or look_at_machine(scene.engine)
    host = host_of(scene.engine.info().identity)
    digest = digest_of_model(trial.model)
    known = Known(subject, profile_name, trial, digest, machine, host, load_of(wanted, trial.profile), limits, notes)
    keeper = Keeper(known, file)
    try:
        course = _serve(known, keeper, what, scene, log)
    except BaseException as error:
        if keeper.seen.series.samples:
            keeper.interrupt(f"It was interrupted: {_why(error)}.")
            scene.reporter.notice(f"What was seen until then is in {file}.")
        raise
    if course.seen:
        made = verdict_of(NAME, "", None, [one.check for one in course.findings], measurements={}, seconds=0.0)
        keeper.finish(made.checks, made.outcome, course.notes)
    return replace(course, record=file if keeper.written else None)


def _prepared(trial: Trial, scene: Scene) -> tuple[Arguments, Serving] | Finding:
    """What the server is started with, or why it cannot be judged here."""
    if refusal := not_servable(trial, scene.engine):
        return refusal
    known = ask_for_words(trial, scene.engine, scene.run_id)
    if isinstance(known, Finding):
        return known
    told = arguments(trial.profile, known, model_in_container(trial.model.path), PORT, telling=Telling.LOADING)
    return told, trial.serving(told.words, known, scene.engine.info().memory)


def _serve(known: Known, keeper: Keeper, what: Serving, scene: Scene, log: Path) -> _Course:
    trial, limit = known.trial, what.memory
    gpu = trial.gpu if trial.on_gpu else None
    try:
        with serve(what, scene.engine, scene.runner, log=log, run_id=scene.run_id) as server:
            if server.address is None and server.state().running:
                return _Course((bad("start", "The engine published no port for it."),))
            with showing(scene.reporter, known.load) as show:
                take = _both(keeper.take, show)
                seen = soak(server, trial.profile, known.load, scene.engine, log=log, gpu=gpu, take=take)
            keeper.seen = seen
            state = server.state()
            stopped = stop(server, limit) if state.running else None
    except ServerNotStarted as refusal:
        return _Course((not_started(refusal.ending),))
    except (CouldNotMeasure, Deviation) as error:
        return _Course((_never_began(error, read_log(log, trial.needs)),))
    facts = read_log(log, trial.needs)
    findings = tuple(_judged(known, seen, state, facts, limit))
    return _Course((*findings, *([stopped] if stopped else []), complaints(facts)), seen, tuple(_notes(known, seen)))


def _both(first: Callable[[Soaked], None], second: Callable[[Soaked], None]) -> Callable[[Soaked], None]:
    def take(seen: Soaked) -> None:
        first(seen)
        second(seen)

    return take


def _never_began(error: CouldNotMeasure | Deviation, facts: LogFacts) -> Finding:
    said = tuple(dict.fromkeys((*facts.complaints[-4:], *facts.last[-4:])))
    if isinstance(error, BuilderError):
        return bad("start", f"{error.cause} {error.remedy}", said)
    return bad("start", error.sentence, (*error.excerpt, *said))


def _judged(known: Known, seen: Soaked, state: ServerState, facts: LogFacts, memory_limit: str) -> Iterator[Finding]:
    profile, limits, series = known.trial.profile, known.limits, seen.series
    lasting = Lasting(known.load.seconds if seen.whole else series.seconds, limits, profile.slots)
    doubt = doubts_on_waits(seen)
    yield same_process(seen, state, facts, memory_limit)
    yield out_of_memory(seen, state, memory_limit)
    yield errors(series, limits)
    yield queue(series, profile.slots, limits, doubt)
    yield slots_full(series, profile.slots, limits, doubt)
    if not profile.embeddings:
        yield cache_hits(series, limits)
    yield health(seen)
    yield processor(seen, limits)
    yield container_memory(seen.peak, profile.memory_limit)
    trends = [
        first_token(series, lasting, vectors=profile.embeddings, doubt=doubts_on_trends(seen)),
        memory(series, lasting),
        *([gpu_memory(series, lasting)] if known.trial.on_gpu else []),
    ]
    yield from (finding for finding in trends if finding)


def _notes(known: Known, seen: Soaked) -> Iterator[str]:
    lasting = Lasting(known.load.seconds, known.limits, known.trial.profile.slots)
    if lasting.silent:
        least = spell_duration(SHORTEST)
        yield (
            f"In the {spell_duration(lasting.seconds)} that were asked for, no slow rise of latency or memory shows: "
            f"that was not judged, and takes {least} at least."
        )
    yield from (*disturbances(seen), *delays(seen), *unseen(seen, on_gpu=known.trial.on_gpu))
    found = figures(seen.series, known.trial.profile.slots, seen.cores)
    client = found["client_processor_share"]
    if client is not None and client > _CLIENT:
        yield f"The asking itself took {client:.0%} of a core: part of what was measured is its own."


def _why(error: BaseException) -> str:
    match error:
        case InterruptedBySignal():
            return f"ended by {Signals(error.signum).name}"
        case KeyboardInterrupt():
            return "by hand"
        case BuilderError():
            return error.cause.rstrip(".")
        case _:
            return f"{type(error).__name__}: {error}".rstrip(".: ")

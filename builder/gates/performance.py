"""The performance gate: is an image slower than the adopted one, measured by turns on the same machine?

A regression counts only where a second batch of rounds finds it again, and the adopted image is measured beside all the
while: nothing is judged once more, and the machine cannot be at fault for one of them alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from time import monotonic

from builder.errors import BuilderError
from builder.gates.gate import Scene, Subject
from builder.gates.measuring import tools_of
from builder.gates.verdict import Check, Measurements, Verdict, failed, passed, unjudged, verdict_of
from builder.performance import comparison
from builder.performance.archive import Archive
from builder.performance.bench import Result, Wish, bench
from builder.performance.comparison import Judgement
from builder.performance.config import rules_of
from builder.performance.effort import EFFORTS
from builder.performance.errors import CouldNotMeasure
from builder.performance.prepare import Prepared, prepare
from builder.performance.progress import PlainProgress
from builder.performance.rules import Rules
from builder.performance.sentences import reason
from builder.performance.subject import subjects_of
from builder.plan.marks import OWN

NAME = "performance"


def judge_performance(subject: Subject, profile_name: str, scene: Scene) -> Verdict:
    """Measure an image beside the adopted one of its variant, by the tag of `[channels]`.

    Without an adopted image, or where it is this one, a base line is measured: nothing was there to be slower than, and
    the verdict says so.

    Args:
        profile_name: a profile of the configuration.

    Raises:
        UsageError: the profile names no model file.
        MachineError: no engine answers, or the disk is full.
    """
    started = monotonic()
    reference = scene.config.settings.adopted(subject.image.labels.get(f"{OWN}variant", ""))
    adopted = scene.engine.image(reference)
    control = Subject(reference, adopted) if adopted and adopted.id != subject.image.id else None
    checks: list[Check] = []
    result = None
    if control and (why := _unfair(control, subject)):
        checks.append(unjudged("control", why))
    else:
        try:
            result = _measure(subject, control, profile_name, scene)
            checks += checks_of(result, reference, compared=control is not None, same=adopted is not None)
        except CouldNotMeasure as error:
            checks.append(unjudged("measure", _told(error), error.excerpt))
    verdict = verdict_of(
        NAME,
        subject.name,
        subject.image.id,
        checks,
        measurements=_measurements(profile_name, control, result),
        seconds=monotonic() - started,
        logs=(str(result.file),) if result else (),
    )
    return with_unseen(verdict, result.taken.unseen if result else ())


def with_unseen(verdict: Verdict, unseen: Sequence[str]) -> Verdict:
    """A verdict that says what may have disturbed the runs and could not be looked for."""
    return replace(verdict, reasons=(*verdict.reasons, *unseen))


def _measure(subject: Subject, control: Subject | None, profile_name: str, scene: Scene) -> Result:
    tools, wanted = tools_of(scene), scene.config.settings.performance
    images = [(one.name, one.image) for one in (control, subject) if one]
    profile = scene.config.settings.profiles[profile_name]
    prepared = prepare(subjects_of(images, profile_name, profile), tools)
    if lacking := _without_bench(prepared):
        raise CouldNotMeasure(
            f"{lacking} has no llama-bench, without which speed is not known well enough.", "Build it here."
        )
    wish = Wish(EFFORTS[wanted.effort], rules_of(wanted))
    return bench(
        prepared, wish, tools, Archive(scene.paths.benches, scene.reporter.notice), PlainProgress(scene.reporter)
    )


def _without_bench(prepared: tuple[Prepared, ...]) -> str:
    return next((one.subject.reference for one in prepared if one.bench is None), "")


def _unfair(control: Subject, subject: Subject) -> str:
    """Why the adopted image cannot be compared with; empty where it can."""
    variant, wanted = (one.image.labels.get(f"{OWN}variant", "") for one in (control, subject))
    if variant == wanted:
        return ""
    told = f"{control.name}, which is adopted, is of the variant {variant or 'unknown'}, and this one is"
    return f"{told} {wanted or 'unknown'}: their speeds say nothing of each other."


def checks_of(result: Result, reference: str, *, compared: bool, same: bool) -> Iterator[Check]:
    """What a bench says, as checks; one that ended early cannot be judged, whatever it saw before."""
    decision, rules = result.taken.decision, result.record.rules.rules()
    if result.error:
        yield unjudged("measure", f"{result.record.interrupted} {result.error.remedy}", result.error.excerpt)
    if decision is None:
        return
    if not compared:
        if decision.settled:
            yield _baseline(reference, " ".join(decision.sentences), same=same)
        elif not result.error:
            yield unjudged("baseline", " ".join(decision.sentences))
        return
    deciding = [judgement for judgement in decision.judgements if judgement.gating]
    yield from (_check(judgement, rules) for judgement in deciding)
    if not deciding:
        yield unjudged("figures", "No figure that decides was measured.")


def _baseline(reference: str, told: str, *, same: bool) -> Check:
    why = f"It is {reference} itself" if same else f"There is no {reference} yet"
    return passed("baseline", f"{why}: there was nothing to be slower than. {told}")


def _check(judgement: Judgement, rules: Rules) -> Check:
    make = {comparison.Outcome.NOT_WORSE: passed, comparison.Outcome.WORSE: failed}
    return make.get(judgement.outcome, unjudged)(judgement.question.name, reason(judgement, rules))


def _measurements(profile_name: str, control: Subject | None, result: Result | None) -> Measurements:
    told: dict[str, str | int | float | bool | None] = {"profile": profile_name}
    told["adopted"] = control.image.id if control else None
    if result:
        told |= {"baseline": control is None, "rounds": result.taken.rounds, "record": str(result.file)}
        judgements = result.taken.decision.judgements if result.taken.decision else ()
        told |= {f"{one.question.name} ratio": one.ratio for one in judgements if one.gating}
    return told


def _told(error: BuilderError) -> str:
    return f"{error.cause} {error.remedy}"

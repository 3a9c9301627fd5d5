"""The correctness gate: an image serves models whose right answers are known, and is compared with them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from time import monotonic

from builder.gates.correctness.asking import Stand
from builder.gates.correctness.chat import judge_chat
from builder.gates.correctness.embeddings import judge_embeddings
from builder.gates.correctness.own_model import judge_own_model
from builder.gates.correctness.tests_image import NAME as TESTS
from builder.gates.correctness.upstream import judge_by_upstream
from builder.gates.finding import Finding
from builder.gates.gate import Scene, Subject
from builder.gates.serving.servable import not_servable
from builder.gates.serving.trial import Trial
from builder.gates.serving.words import ask_for_words
from builder.gates.verdict import Verdict, verdict_of
from builder.server.help import Help
from builder.server.models.sizes import MADE
from builder.server.profile import model_of, tiny_model

NAME = "correctness"


@dataclass(frozen=True)
class _Profile:
    """A profile that is judged.

    Attributes:
        name: the profile's.
        trial: serves a tiny model as the profile says.
        own: serves the user's own model; None where the profile names none.
    """

    name: str
    trial: Trial
    own: Trial | None


def judge_correctness(subject: Subject, scene: Scene, profiles: Sequence[str] | None = None) -> Verdict:
    """Serve profiles with an image and compare what it computes with what is right.

    Args:
        profiles: names of the configuration's; None takes all.

    Raises:
        UsageError: a profile names no model file.
        CommandTimeout: the engine did not answer in time.
        MachineError: no engine answers, or the disk is full.
    """
    started = monotonic()
    before = set(scene.logs.glob("*.log"))
    names = scene.config.settings.profiles if profiles is None else profiles
    served = [_profile(subject, name, scene) for name in names]
    findings = tuple(_findings(served, scene))
    return verdict_of(
        NAME,
        subject.name,
        subject.image.id,
        [finding.check for finding in findings],
        measurements={
            "profiles": ",".join(names),
            **{name: value for finding in findings for name, value in finding.measurements.items()},
        },
        seconds=monotonic() - started,
        logs=tuple(sorted(str(log) for log in set(scene.logs.glob("*.log")) - before)),
    )


def _profile(subject: Subject, name: str, scene: Scene) -> _Profile:
    profile = scene.config.settings.profiles[name]
    tiny = tiny_model(profile, scene.paths.models, scene.reporter.notice)
    trial = Trial(subject.image, profile, tiny, scene.gpu_options, scene.gpu)
    if not profile.model or profile.model.startswith(MADE):
        return _Profile(name, trial, None)
    own = replace(trial, model=model_of(name, scene.config, scene.paths.models, scene.reporter.notice))
    return _Profile(name, replace(trial, profile=profile.model_copy(update={"extra_arguments": ()})), own)


def _findings(served: Sequence[_Profile], scene: Scene) -> Iterator[Finding]:
    if not served:
        return
    trial = served[0].trial
    if refusal := not_servable(trial, scene.engine):
        yield refusal
        return
    known = ask_for_words(trial, scene.engine, scene.run_id)
    if isinstance(known, Finding):
        yield known
        return
    for one in served:
        for finding in _of_profile(one, known, scene):
            yield _of(one, finding)
    yield from _by_upstream({one.name: one.own or one.trial for one in served}, scene)


def _by_upstream(trials: Mapping[str, Trial], scene: Scene) -> Iterator[Finding]:
    """What upstream's tests say; on the CPU, where numpy has said what is right, they need not be there."""
    on_gpu = any(trial.on_gpu for trial in trials.values())
    for finding in judge_by_upstream(trials, scene):
        if on_gpu or finding.check.name != TESTS:
            yield finding


def _of_profile(profile: _Profile, known: Help, scene: Scene) -> Iterator[Finding]:
    """What the tiny model shows; a user's own one besides, where there are two backends that can be compared."""
    stand = Stand(profile.trial, known, scene)
    findings = judge_embeddings(stand) if profile.trial.profile.embeddings else judge_chat(stand)
    yield from map(_in_its_place, findings) if profile.own else findings
    if profile.own and profile.own.on_gpu:
        yield from judge_own_model(Stand(profile.own, known, scene))


def _in_its_place(finding: Finding) -> Finding:
    """A finding that says what it is not about: words that were meant for the user's own model were left out too."""
    detail = f"{finding.check.detail} A made model was served here, for nothing foretells what the profile's own says."
    return Finding(replace(finding.check, detail=detail), finding.measurements)


def _of(profile: _Profile, finding: Finding) -> Finding:
    """A finding with the profile's name, where that says more than its kind."""
    return finding if profile.name == profile.trial.profile.kind else finding.of(profile.name)

"""From upstream to a named image, as readable functions over stages."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from time import monotonic

from builder.console import Reporter
from builder.engine.client import Engine
from builder.engine.gpu import compute_capabilities
from builder.engine.images import Image
from builder.errors import BuilderError
from builder.gates.verdict import Outcome, Verdict
from builder.gates.version_gate import VERSION_LIMIT, judge_built
from builder.image.bases import BaseRequest, Choice, Workshop, choose, ensure
from builder.image.build import build, creation_time
from builder.image.buildx import Buildx
from builder.image.job import Job
from builder.image.names import find_built, let_go, make_candidate, name_image
from builder.image.recipe import SERVER_RECIPE, recipe_digest
from builder.image.tests_image import find_tests, make_tests, name_tests
from builder.image.toolchain import probe
from builder.paths import Paths
from builder.plan.make import make_plan
from builder.plan.plan import BuildPlan, Variant
from builder.process import Runner
from builder.server.probe import Answer, Prober
from builder.server.subject import ImageSubject
from builder.settings import Settings
from builder.source.desk import Request
from builder.source.patches.queue import QueuePlace
from builder.source.patches.rewrite import open_queue
from builder.source.prepare import prepare
from builder.source.tree import SourceTree
from builder.staging import exclusive
from builder.upstream.minimum import Minimum
from builder.upstream.selection import Policy


@dataclass(frozen=True)
class Wish:
    """What a person asks for beyond the configuration.

    Attributes:
        variant: None takes CUDA where there is a GPU and the CPU elsewhere.
        build_number: for origins that do not know it.
        queue: where patches are; None lays none.
    """

    settings: Settings
    variant: Variant | None
    build_number: int | None
    queue: QueuePlace | None = None


@dataclass(frozen=True)
class Tools:
    """What the stages work with."""

    engine: Engine
    runner: Runner
    reporter: Reporter
    paths: Paths
    logs: Path

    @property
    def workshop(self) -> Workshop:
        """For what makes images."""
        buildx = Buildx(self.engine, self.runner, self.reporter, self.logs)
        return Workshop(self.engine, buildx, self.runner, self.reporter, self.paths)


@dataclass(frozen=True)
class Planned:
    """A plan with what it needs to be carried out."""

    tree: SourceTree
    choice: Choice
    plan: BuildPlan


@dataclass(frozen=True)
class Companion:
    """The image with upstream's own test programs that belongs to a served one.

    Attributes:
        reference: its name; None where there is none.
        image: None where there is none.
        found: whether it was already there.
        reason: clause, why there is none; empty where there is one.
    """

    reference: str | None = None
    image: Image | None = None
    found: bool = False
    reason: str = ""


@dataclass(frozen=True)
class Result:
    """What a build ended with.

    Attributes:
        found: whether the image was already there for the same inputs.
        references: immutable tag and candidate; the first alone where the image could not be judged; none where it
            failed or does not start.
        tests: the image with the test programs.
        seconds: time taken by all stages.
    """

    plan: BuildPlan
    image: Image
    found: bool
    references: tuple[str, ...]
    verdict: Verdict
    tests: Companion
    seconds: float


def make_build_plan(wish: Wish, tools: Tools) -> Planned:
    """From upstream to a plan; compiles nothing.

    Raises:
        BuilderError: of the stage that failed.
    """
    settings = wish.settings
    upstream = settings.upstream
    variant = wish.variant or _fitting_variant(tools)
    tree = prepare(
        Request(upstream.origin, upstream.ref, upstream.repository, upstream.fallback, Policy.of(settings)),
        build_number=wish.build_number,
        paths=tools.paths,
        runner=tools.runner,
        reporter=tools.reporter,
        queue=open_queue(wish.queue, tools.paths.patches, tools.reporter.notice) if wish.queue else None,
    )
    request = BaseRequest(variant, settings.build.cuda, settings.bases.as_of)
    choice = choose(settings.bases, request, tools.workshop)
    tools.reporter.notice(f"Bases: {choice.bases.provider} ({choice.reason}).")
    if choice.bases.provider == "custom" and variant is Variant.CUDA:
        settings = _with_cuda_of(choice, settings, tools)
    by_gpus = variant is Variant.CUDA and settings.build.architectures == "auto"
    capabilities = compute_capabilities(tools.runner) if by_gpus else ()
    recipe = recipe_digest(SERVER_RECIPE)
    architecture = tools.engine.architecture()
    plan = make_plan(
        tree, settings, variant, choice.bases, recipe, capabilities=capabilities, architecture=architecture
    )
    return Planned(tree, choice, plan)


def build_image(wish: Wish, tools: Tools) -> Result:
    """From upstream to a tagged image whose version is what was planned, and one with the test programs on it.

    Raises:
        BuilderError: of the stage that failed.
    """
    started = monotonic()
    tools.engine.sweep()
    minimum = Minimum.parse(wish.settings.version.minimum)
    planned = make_build_plan(wish, tools)
    plan = planned.plan
    created = creation_time(plan)
    repository = wish.settings.image.repository
    with exclusive(tools.paths.locks / f"{plan.digest.removeprefix('sha256:')}.lock", tools.reporter.notice):
        image = found = find_built(tools.engine, plan, repository, tools.paths.images)
        try:
            if image is None:
                job = _job(planned, wish, tools)
                with tools.reporter.step(f"Building {plan.tag}"):
                    image = build(job, created=created)
            answer = _ask_version(image, tools)
            verdict = judge_built(plan.tag, answer, plan.stamp, minimum)
            references = _name(image, plan, wish.settings, answer, verdict, tools)
            tests = _tests(image, references, planned, created, wish, tools)
        finally:
            let_go(tools.engine, plan)
    return Result(plan, image, found is not None, references, verdict, tests, monotonic() - started)


def _job(planned: Planned, wish: Wish, tools: Tools) -> Job:
    ensure(planned.choice, tools.workshop)
    return Job.of(planned.plan, planned.tree, tools.workshop, jobs=wish.settings.build.jobs)


def _ask_version(image: Image, tools: Tools) -> Answer:
    prober = Prober(tools.runner, tools.engine, run_id=tools.logs.name, timeout=VERSION_LIMIT)
    return prober.ask(ImageSubject(image.id))


def _name(
    image: Image, plan: BuildPlan, settings: Settings, answer: Answer, verdict: Verdict, tools: Tools
) -> tuple[str, ...]:
    """Name what deserves it.

    What passed gets its tag and becomes the candidate. What is whole but could not be judged, since its number is not
    known or it needs a GPU to start, gets its tag alone. Anything else gets no name.
    """
    whole = answer.version is not None or (answer.failure is not None and answer.failure.wants_driver)
    if verdict.outcome is Outcome.FAIL or not whole:
        return ()
    immutable = name_image(tools.engine, image, settings.image.repository, plan)
    if verdict.outcome is not Outcome.PASS:
        return (immutable,)
    candidate = make_candidate(tools.engine, image, settings.candidate(plan.variant))
    if candidate.before:
        tools.reporter.notice(f"{candidate.reference} was {candidate.before} before.")
    return immutable, candidate.reference


def _tests(
    served: Image, references: tuple[str, ...], planned: Planned, created: datetime, wish: Wish, tools: Tools
) -> Companion:
    """Find or make the image with the test programs; that it cannot be made stops nothing."""
    plan, engine = planned.plan, tools.engine
    repository = wish.settings.image.repository
    if not wish.settings.build.tests or not references:
        return Companion(reason="not asked for" if references else "the image has no name")
    if not plan.tests:
        tools.reporter.notice("Tests: none, this tree has no programs for them; correctness cannot be judged.")
        return Companion(reason="this tree has no programs for them")
    try:
        image = found = find_tests(engine, served, plan, repository)
        if image is None:
            job = _job(planned, wish, tools)
            with tools.reporter.step(f"Building the tests of {plan.tag}"):
                image = make_tests(job, served, references[0], created=created)
        return Companion(name_tests(engine, image, repository, plan), image, found is not None)
    except BuilderError as error:
        tools.reporter.warning(f"There is no tests image, so correctness cannot be judged: {error.cause}", error)
        return Companion(reason=error.cause)


def _fitting_variant(tools: Tools) -> Variant:
    capabilities = compute_capabilities(tools.runner)
    if capabilities:
        tools.reporter.notice(f"Variant: CUDA (GPUs of compute capability {', '.join(capabilities)} are here).")
        return Variant.CUDA
    tools.reporter.notice("Variant: CPU (no NVIDIA GPU is here; --cuda builds for one elsewhere).")
    return Variant.CPU


def _with_cuda_of(choice: Choice, settings: Settings, tools: Tools) -> Settings:
    cuda = probe(tools.engine, choice.bases.devel, tools.paths.bases).cuda
    if cuda is None or cuda == settings.build.cuda:
        return settings
    tools.reporter.notice(f"CUDA: {cuda}, which is what {choice.bases.devel} has.")
    return settings.model_copy(update={"build": settings.build.model_copy(update={"cuda": cuda})})

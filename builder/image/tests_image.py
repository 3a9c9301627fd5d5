"""The image with upstream's own test programs, on exactly the served one: what judges it never is in it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from builder.engine.client import Engine
from builder.engine.images import Image
from builder.errors import BuildError
from builder.image.job import Job
from builder.image.names import temporary_tests_name, tests_name
from builder.plan.marks import PLAN, TESTS
from builder.plan.plan import BuildPlan


def find_tests(engine: Engine, served: Image, plan: BuildPlan, repository: str) -> Image | None:
    """The tests image of a served one: by its name, else by its labels, and in any case by its layers."""
    for image in (engine.image(tests_name(repository, plan)), *engine.images_with(_marks(plan))):
        if image is not None and _is_whole(image, served, plan):
            return image
    return None


def make_tests(job: Job, served: Image, reference: str, *, created: datetime) -> Image:
    """Compile the plan's test programs and add them to the served image.

    Until `names.let_go` the image is kept by a name that says nothing about it.

    Args:
        reference: a name that the served image has on the engine.
        created: when the image says it was created.

    Raises:
        BuildError: a program does not compile, or what came out is not on the served image.
        MachineError: disk full, no engine.
    """
    name = temporary_tests_name(job.plan)
    with job.whole_log("tests", "compile-tests"):
        job.run(
            "Building the tests of",
            "tests",
            tag=name,
            arguments={"SERVED": reference, "SOURCE_DATE_EPOCH": str(int(created.timestamp()))},
            labels={TESTS: _marks(job.plan)[TESTS]},
        )
    image = job.workshop.engine.image(name)
    if image is None or not _is_whole(image, served, job.plan):
        raise BuildError(
            f"What was made for the tests does not stand on the image {reference}.",
            "See that nothing else names or removes images of this engine, and build again.",
        )
    return image


def name_tests(engine: Engine, image: Image, repository: str, plan: BuildPlan) -> str:
    """Give a tests image its name; one that was made on another served image loses it.

    Returns:
        The reference.

    Raises:
        BuildError: the name is that of an image without test programs.
    """
    reference = tests_name(repository, plan)
    holder = engine.image(reference)
    if holder is not None and TESTS not in holder.labels:
        raise BuildError(
            f"The tag {reference} is already another image ({holder.id[:19]}), which holds no tests.",
            f"Look at it with `docker image inspect {reference}`; remove it if it is not what its name says.",
        )
    if holder is None or holder.id != image.id:
        engine.tag(image.id, reference)
    return reference


def _marks(plan: BuildPlan) -> Mapping[str, str]:
    return {PLAN: plan.digest, TESTS: ",".join(plan.tests)}


def _is_whole(image: Image, served: Image, plan: BuildPlan) -> bool:
    return image.stands_on(served) and image.labels == {**served.labels, **_marks(plan)}

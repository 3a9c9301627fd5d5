"""What images are called: a name while they are judged, a tag for ever, and the candidate."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from builder.engine.client import Engine
from builder.engine.images import Image
from builder.engine.naming import TESTS_SUFFIX, name_for_ever
from builder.plan.marks import PLAN, TESTS
from builder.plan.plan import BuildPlan
from builder.plan.tag import UNJUDGED
from builder.staging import write_whole


def find_built(engine: Engine, plan: BuildPlan, repository: str, notes: Path) -> Image | None:
    """The image that this very plan gave: by its tag, else by the ID that was noted.

    An image made on top of ours inherits its labels: a label alone says nothing.

    Args:
        notes: folder with the IDs of images by plan.
    """
    note = _note(notes, plan)
    noted = note.read_text(encoding="utf-8").strip() if note.exists() else ""
    for reference in (f"{repository}:{plan.tag}", noted):
        image = engine.image(reference) if reference else None
        if image is not None and image.labels.get(PLAN) == plan.digest and TESTS not in image.labels:
            return image
    return None


def note_image(notes: Path, plan: BuildPlan, image: Image) -> None:
    """Keep which image a plan gave."""
    write_whole(_note(notes, plan), f"{image.id}\n".encode())


def temporary_name(plan: BuildPlan) -> str:
    """What keeps an image until it is judged: an engine with containerd's store finds none without a name."""
    return f"{UNJUDGED}:{plan.digest.removeprefix('sha256:')[:16]}"


def temporary_tests_name(plan: BuildPlan) -> str:
    """What keeps a tests image until it is looked at."""
    return f"{temporary_name(plan)}{TESTS_SUFFIX}"


def tests_name(repository: str, plan: BuildPlan) -> str:
    """What the image with the test programs is called: the served one's immutable tag, and `-tests`."""
    return f"{repository}:{plan.tag}{TESTS_SUFFIX}"


def let_go(engine: Engine, plan: BuildPlan) -> None:
    """Take away the names that kept images while they were built and judged."""
    for name in (temporary_tests_name(plan), temporary_name(plan)):
        engine.remove_image(name)


def name_image(engine: Engine, image: Image, repository: str, plan: BuildPlan) -> str:
    """Give the image its immutable tag.

    Returns:
        The reference.

    Raises:
        BuildError: the tag is another image's; it is never moved.
    """
    immutable = f"{repository}:{plan.tag}"
    name_for_ever(engine, image.id, immutable)
    return immutable


@dataclass(frozen=True)
class Candidate:
    """The moving tag of what was built last.

    Attributes:
        reference: the tag.
        before: what it named before, where that was another image: that image's own tag, else its ID.
    """

    reference: str
    before: str | None


def make_candidate(engine: Engine, image: Image, reference: str) -> Candidate:
    """Point the moving tag of what was built last at an image."""
    current = engine.image(reference)
    if current is not None and current.id == image.id:
        return Candidate(reference, None)
    engine.tag(image.id, reference)
    if current is None:
        return Candidate(reference, None)
    return Candidate(reference, next((name for name in current.references if name != reference), current.id))


def _note(notes: Path, plan: BuildPlan) -> Path:
    return notes / plan.digest.removeprefix("sha256:")

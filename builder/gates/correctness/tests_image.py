"""Upstream's own test programs that were built with an image: found by labels, proven by layers."""

from __future__ import annotations

from dataclasses import dataclass

from builder.engine.client import Engine
from builder.engine.images import Image
from builder.gates.finding import Finding, unknown
from builder.plan.marks import PLAN, TESTS

NAME = "tests"
_REMEDY = "`builder build` with the same inputs makes it."


@dataclass(frozen=True)
class Programs:
    """Test programs that belong to an image.

    Attributes:
        image: holds all that the image holds to which they belong, and nothing below it.
        names: of the programs, such as `test-backend-ops`; each is in the image's PATH.
    """

    image: Image
    names: frozenset[str]


def find_programs(judged: Image, engine: Engine) -> Programs | Finding:
    """The test programs of an image; what could not be had is a check that could not be made.

    Labels are only a hint: anybody can write them. That an image's lowest layers are those of the judged one cannot be
    said wrongly. Of several images that prove it, the one that adds least is taken.

    Raises:
        MachineError: the engine could not tell.
    """
    plan = judged.labels.get(PLAN, "")
    if not plan:
        return unknown(
            NAME, "No label says by which plan the image was built, so nothing tells which tests are its own."
        )
    labelled = [image for image in engine.images_with({PLAN: plan}) if image.labels.get(TESTS)]
    if not labelled:
        return unknown(NAME, f"This engine has no image with the test programs of this one; {_REMEDY}")
    standing = [image for image in labelled if image.stands_on(judged)]
    if not standing:
        return _refused(labelled[0], judged)
    proven = min(standing, key=lambda image: len(image.layers))
    return Programs(proven, frozenset(filter(None, proven.labels[TESTS].split(","))))


def _refused(found: Image, judged: Image) -> Finding:
    name = next(iter(found.references), found.id[:19])
    if not judged.layers:
        return unknown(NAME, f"The engine names no layers of the image, so nothing proves that {name} stands on it.")
    pairs = zip(judged.layers, found.layers, strict=False)
    same = next(
        (at for at, (wanted, had) in enumerate(pairs) if wanted != had), min(len(judged.layers), len(found.layers))
    )
    where = f"of its {len(judged.layers)} layers only the first {same} are there" if same else "no layer of it is there"
    return unknown(NAME, f"{name} says that it holds the tests of this image, but {where}. {_REMEDY}")

"""Images of ours on the engine, and names that killed builds left there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path

from builder.channels.ledger.ledger import Ledger
from builder.channels.places.place import ENGINE
from builder.channels.promotion.target import Target
from builder.channels.retention.rules import Item
from builder.channels.retention.tags import given_by_people
from builder.engine.images import Image
from builder.engine.naming import TESTS_SUFFIX
from builder.plan.marks import OWN, PLAN, TESTS
from builder.plan.tag import UNJUDGED
from builder.staging import unless_held


def items_on(
    images: Sequence[Image], repositories: Iterable[str], channels: Iterable[str], ledger: Ledger, locks: Path
) -> tuple[Item, ...]:
    """What the engine has of ours.

    An image is ours by its label and by a name in one of our repositories: the label alone is inherited by whatever is
    made on top of one. One that somebody has named, too, stays.

    Args:
        images: all that the engine has.
        repositories: names without a tag.
        channels: the tags that move.
        locks: folder of the locks that builds hold.
    """
    ours = set(repositories)
    found = [
        image
        for image in images
        if PLAN in image.labels and any(_repository(name) in ours for name in image.references)
    ]
    items = [_item(image, images, found, ours, {*channels}, ledger) for image in found]
    return (*items, *_leftovers(images, locks))


def _item(
    image: Image,
    images: Sequence[Image],
    ours: Sequence[Image],
    repositories: set[str],
    channels: set[str],
    ledger: Ledger,
) -> Item:
    own = Target(image.id, image.labels, image.id).tag
    names = [name for name in image.references if _repository(name) in repositories]
    names.sort(key=lambda name: name.rpartition(":")[2] != own)
    others = [name for name in image.references if _repository(name) not in (*repositories, UNJUDGED)]
    given = given_by_people(names, {own, *channels})
    return Item(
        ENGINE,
        image.id,
        tuple(names),
        own_size(image, images),
        since=_since(image, ledger),
        variant=image.labels.get(f"{OWN}variant", ""),
        bound=f"it is also {others[0]}" if others else given,
        follows=_served(image, ours) if TESTS in image.labels else None,
        plan=image.labels[PLAN],
        kind="companion" if TESTS in image.labels else "build",
    )


def own_size(image: Image, images: Iterable[Image]) -> int:
    """Bytes that are free when an image is gone and those that it stands on stay."""
    below = (one for one in images if one.id != image.id and one.layers != image.layers and image.stands_on(one))
    return max(0, image.size - max((one.size for one in below), default=0))


def _served(tests: Image, ours: Iterable[Image]) -> str | None:
    """The ID of the served image that a tests image was put on."""
    plan = tests.labels[PLAN]
    same = (one for one in ours if one.labels.get(PLAN) == plan and TESTS not in one.labels)
    return next((one.id for one in same if tests.stands_on(one)), None)


def _since(image: Image, ledger: Ledger) -> datetime | None:
    """When an image came to be here: when it was last named, or built as far as the ledger knows."""
    moments = [build.at for build in ledger.images.builds(image.id)]
    return max((*moments, *([image.named] if image.named else [])), default=None)


def _leftovers(images: Sequence[Image], locks: Path) -> Iterator[Item]:
    """Names of builds; one whose lock is free was left by a process that is gone."""
    for image in images:
        for name in image.references:
            if _repository(name) == UNJUDGED:
                yield _leftover(name, image, images, locks)


def _leftover(name: str, image: Image, images: Sequence[Image], locks: Path) -> Item:
    plan = name.rpartition(":")[2].removesuffix(TESTS_SUFFIX)
    is_only = len(image.references) == 1
    with held_off(locks, plan) as is_free:
        left = "left by a build that was killed" if is_free and any(_locks_of(locks, plan)) else ""
    return Item(
        ENGINE,
        image.id,
        (name,),
        own_size(image, images) if is_only else 0,
        since=image.named,
        bound="" if is_free else "a build is at it",
        left=left,
        plan=plan,
        kind="companion" if is_only else "name",
    )


@contextmanager
def held_off(locks: Path, plan: str) -> Iterator[bool]:
    """Keep builds of a plan on this machine waiting; gives whether none is under way.

    Args:
        plan: its digest, or the first digits of that; an empty one is nobody's.
    """
    with ExitStack() as stack:
        yield all(stack.enter_context(unless_held(file)) for file in _locks_of(locks, plan))


def _locks_of(locks: Path, plan: str) -> Iterable[Path]:
    digits = plan.removeprefix("sha256:")
    return locks.glob(f"{digits}*.lock") if digits else ()


def _repository(name: str) -> str:
    return name.rpartition(":")[0]

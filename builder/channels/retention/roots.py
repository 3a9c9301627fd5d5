"""What reaches an image: channels, promotions, adoption files, containers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from builder.channels.adoption.render import images_of
from builder.channels.ledger.ledger import Ledger
from builder.channels.ledger.moves import PromotionEntry
from builder.channels.ledger.values import is_digest
from builder.channels.looking import Names
from builder.channels.places.place import FILE
from builder.channels.places.reach import Reach
from builder.config import Config
from builder.engine.containers import Container
from builder.engine.images import Image

Root = tuple[str, str]
"""A digest, and a clause that says what needs it."""


def roots_of(
    config: Config, ledger: Ledger, reach: Reach, images: Iterable[Image], containers: Iterable[Container]
) -> Mapping[str, str]:
    """All digests that something needs, with what that is; an image is there by each digest that is known of it.

    Args:
        images: those of the engine.
        containers: those of the engine.

    Raises:
        BuilderError: something cannot be asked, so that nobody knows what it needs.
    """
    found = (
        *_named(config, reach),
        *_promoted(ledger),
        *_adopted_by_files(config, reach),
        *((container.image, f"the container {container.name} uses it") for container in containers),
    )
    by_engine = [(image.id, {one.rpartition("@")[2] for one in image.repo_digests}) for image in images]
    roots: dict[str, str] = {}
    with ledger.at_once():
        for digest, why in found:
            same = {*ledger.images.same(digest)}
            for image, digests in by_engine:
                if same & {image, *digests}:
                    same |= {image, *digests}
            for one in same:
                roots.setdefault(one, why)
    return roots


def _named(config: Config, reach: Reach) -> Iterator[Root]:
    """What the channels' tags name."""
    settings = config.settings
    names = Names.of(settings.channels)
    tags = (*names.promoted, *names.built)
    for tag in tags:
        if digest := reach.tags.read(f"{settings.image.repository}:{tag}"):
            yield digest, f"{tag} names it"
    if repository := settings.registry.repository:
        place = reach.registry(repository)
        for tag in tags:
            if manifest := place.registry.find(place.reference.tagged(tag)):
                why = f"{tag} names it in the registry"
                yield manifest.digest, why
                if manifest.config:
                    yield manifest.config, why
                for child in manifest.children:
                    yield child, why


def _promoted(ledger: Ledger) -> Iterator[Root]:
    """What the ledger says that was adopted last and before that, and all that a promotion under way may need."""
    with ledger.at_once():
        history = ledger.promotions.history()
    seen: set[tuple[str, str, str, str]] = set()
    for entry in history:
        key = (entry.ledger, entry.repository, entry.channel, entry.variant)
        if entry.result is None:
            yield from _reached(entry, f"a {entry.action} of it is under way")
        elif entry.result == "done" and key not in seen:
            seen.add(key)
            yield from _reached(entry, "it is adopted, or was before that, as the ledger says")


def _reached(entry: PromotionEntry, why: str) -> Iterator[Root]:
    steps = [step for step in entry.steps if step.place != FILE]
    befores = (step.before for step in steps if entry.result is None)
    digests = (entry.after, entry.before, *(step.after for step in steps), *befores)
    yield from ((digest, why) for digest in dict.fromkeys(digests) if digest)


def _adopted_by_files(config: Config, reach: Reach) -> Iterator[Root]:
    for file, images in images_of(config).items():
        for image in images:
            digest = image.rpartition("@")[2]
            named = digest if is_digest(digest) else reach.tags.read(image)
            if named:
                yield named, f"{file} names it"

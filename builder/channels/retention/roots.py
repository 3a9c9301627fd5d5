"""What reaches an image: channels, promotions, adoption files, containers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from builder.channels.adoption.render import images_of
from builder.channels.ledger.ledger import Ledger
from builder.channels.ledger.moves import PromotionEntry
from builder.channels.ledger.values import is_digest
from builder.channels.looking import Names
from builder.channels.places.place import FILE
from builder.channels.places.reach import Reach
from builder.channels.registry.faults import RegistryError
from builder.config import Config
from builder.engine.containers import Container
from builder.engine.images import Image

Root = tuple[str, str]
"""A digest, and a clause that says what needs it."""


@dataclass(frozen=True)
class Roots:
    """What is needed.

    Attributes:
        needs: clauses that say what needs an image, by each digest that is known of it.
        unread: why the registry could not be asked, so that all of the engine stays that may be there; None where it
            was, or there is none.
    """

    needs: Mapping[str, str]
    unread: RegistryError | None = None


def roots_of(
    config: Config, ledger: Ledger, reach: Reach, images: Sequence[Image], containers: Iterable[Container]
) -> Roots:
    """All that something needs.

    Args:
        images: those of the engine.
        containers: those of the engine.

    Raises:
        BuilderError: something but the registry cannot be asked, so that nobody knows what it needs.
    """
    unread = None
    try:
        there = tuple(_named_there(config, reach))
    except RegistryError as error:
        unread, there = error, tuple(_perhaps_there(config, ledger, images))
    found = (
        *_named(config, reach),
        *promoted(ledger),
        *_adopted_by_files(config, reach),
        *((container.image, f"the container {container.name} uses it") for container in containers),
        *there,
    )
    return Roots(_by_digest(found, ledger, images), unread)


def _by_digest(found: Iterable[Root], ledger: Ledger, images: Iterable[Image]) -> Mapping[str, str]:
    """Clauses by each digest that is known of an image."""
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
    """What the channels' tags name on the engine."""
    settings = config.settings
    for tag in Names.of(settings.channels).all:
        if digest := reach.tags.read(f"{settings.image.repository}:{tag}"):
            yield digest, f"{tag} names it"


def _named_there(config: Config, reach: Reach) -> Iterator[Root]:
    """What the channels' tags name in the registry."""
    settings = config.settings
    if repository := settings.registry.repository:
        place = reach.registry(repository)
        for tag in Names.of(settings.channels).all:
            if manifest := place.registry.find(place.reference.tagged(tag)):
                why = f"{tag} names it in the registry"
                yield manifest.digest, why
                if manifest.config:
                    yield manifest.config, why
                for child in manifest.children:
                    yield child, why


def _perhaps_there(config: Config, ledger: Ledger, images: Iterable[Image]) -> Iterator[Root]:
    """What the engine has that was ever in the registry, as far as engine and ledger tell."""
    repository = config.settings.registry.repository
    why = "the registry, which cannot be asked, may name it"
    for image in images:
        names = (name.partition("@")[0] for name in image.repo_digests)
        tagged = (name.rpartition(":")[0] for name in image.references)
        known = ledger.images.find(image.id)
        if repository in (*names, *tagged) or (known and (known.manifests or known.indexes)):
            yield image.id, why


def promoted(ledger: Ledger) -> Iterator[Root]:
    """What was adopted last and before that, all that a promotion under way may need, and what moves go to later."""
    with ledger.at_once():
        history, owing = ledger.promotions.history(), ledger.promotions.owing()
    for entry in owing:
        steps = (entry.steps[position] for position in entry.owing)
        late = (entry.wanted(step) for step in steps if step.place != FILE)
        yield from ((digest, "a move to it was put off") for digest in late if digest)
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

"""What there is to move, as it is now."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from uuid import uuid4

from builder.channels.adoption.render import Pinned, files_for
from builder.channels.drift import Expected, expected_of
from builder.channels.ledger.ledger import Ledger
from builder.channels.ledger.moves import Action, PromotionEntry, Step
from builder.channels.ledger.values import digest_of
from builder.channels.places.engine import EnginePlace
from builder.channels.places.place import ENGINE, FILE
from builder.channels.places.reach import Reach
from builder.channels.places.registry import RegistryPlace
from builder.channels.promotion.digests import EngineKind, Published
from builder.channels.promotion.plan import Moved, Site, Tag, find_moved, is_change, plan_steps
from builder.channels.promotion.publishing import Publisher
from builder.channels.promotion.target import Target
from builder.config import Config
from builder.promotion import ChannelTags

UNPUSHED = f"sha256:{'0' * 64}"
"""Stands for the digest that the registry will give an image which it does not have."""


@dataclass(frozen=True)
class Scene:
    """Where an image is to be adopted.

    Attributes:
        reach: the way to engine, registry and files.
        publisher: pushes and pulls; None without a registry.
        kind: how the engine names images.
        clock: tells the time.
    """

    ledger: Ledger
    config: Config
    reach: Reach
    publisher: Publisher | None
    kind: EngineKind
    clock: Callable[[], datetime]

    @property
    def repository(self) -> str:
        """Name of the images, without a tag."""
        return self.config.settings.image.repository

    def key(self, target: Target) -> str:
        """The variant that has tags of its own; empty where all share them."""
        return target.variant if self.config.settings.channels.per_variant else ""

    def tags(self, target: Target) -> ChannelTags:
        """The tags of the channels that an image is for."""
        return self.config.settings.channels.tags(self.key(target))

    def draft(self, action: Action, target: Target, there: Published | None) -> Draft:
        """What has to move so that an image is adopted; nothing is changed.

        Args:
            there: the image in the registry; None where it is not there, or there is none.

        Raises:
            MachineError: a place does not answer.
            UsageError: an adoption file is not ours to write.
        """
        sites = [self._site(self.reach.tags, self.repository, target, target.id)]
        if self.publisher:
            place, digest = self.publisher.place, there.whole.digest if there else UNPUSHED
            sites.append(self._site(place, str(place.reference), target, digest))
        promotion, at = uuid4().hex, self.clock()
        files = self._files(target, there, promotion, at, moving=any(map(is_change, plan_steps(action, sites, ()))))
        steps = plan_steps(action, sites, tuple(step for step, _ in files))
        contents = tuple(content for step, content in files if is_change(step))
        return Draft(promotion, at, action, target, tuple(sites), steps, contents)

    def moved(self, draft: Draft) -> tuple[Moved, ...]:
        """Tags that somebody else moved since the last promotion."""
        keys = [(site.place, tag.subject) for site in draft.sites for tag in (site.adopted, site.previous)]
        known = {key: one.digest for key in keys if (one := self.expected(*key))}
        return find_moved(draft.sites, known)

    def expected(self, place: str, subject: str) -> Expected | None:
        """What the last promotion left a subject naming; None where none moved it."""
        return expected_of(self.ledger, place, subject)

    def knows(self, draft: Draft) -> bool:
        """Whether the ledger says of each tag of a channel that names something that it names just that."""
        tags = [(site.place, tag) for site in draft.sites for tag in (site.adopted, site.previous) if tag.names]
        last = self.ledger.promotions.adopted(self.repository, self.tags(draft.target).adopted, self.key(draft.target))
        return last is not None and all(
            (one := self.expected(place, tag.subject)) is not None and one.digest == tag.names for place, tag in tags
        )

    def entry(self, draft: Draft, *, who: str, why: str, forced: str | None) -> PromotionEntry:
        """A draft as the ledger keeps it; what its files are to hold is kept too.

        Raises:
            MachineError: that cannot be kept.
        """
        for content in draft.contents:
            self.reach.files.keep(content)
        target = draft.target
        return PromotionEntry(
            draft.promotion,
            self.ledger.id,
            draft.action,
            self.repository,
            self.tags(target).adopted,
            self.key(target),
            next((site.adopted.names for site in draft.sites if site.adopted.names), None),
            target.id,
            who,
            why,
            draft.at,
            forced,
            draft.steps,
        )

    def _site(self, place: EnginePlace | RegistryPlace, repository: str, target: Target, digest: str) -> Site:
        names = self.tags(target)
        subjects = (f"{repository}:{tag}" for tag in (target.tag, names.adopted, names.previous))
        found = [_tag(place, subject) for subject in subjects]
        return Site(place.name, digest, *found)

    def _files(
        self, target: Target, there: Published | None, promotion: str, at: datetime, *, moving: bool
    ) -> tuple[tuple[Step, bytes], ...]:
        """Moves of the adoption files with their contents; one that is right stays where no tag moves."""
        image = target.id
        if self.publisher:
            image = str(self.publisher.place.reference.pinned(there.whole.digest if there else UNPUSHED))
        last = self.ledger.promotions.adopted(self.repository, self.tags(target).adopted, self.key(target))
        right: Mapping[Path, bytes] = {}
        if last and not moving:
            right = files_for(self.config, Pinned(image, last.id, last.at, target.name))
        files = files_for(self.config, Pinned(image, promotion, at, target.name))
        return tuple(self._file(file, content, right.get(file)) for file, content in files.items())

    def _file(self, file: Path, content: bytes, right: bytes | None) -> tuple[Step, bytes]:
        now = self.reach.files.read(str(file))
        stays = right is not None and now == digest_of(right)
        return Step(FILE, str(file), now, now if stays else digest_of(content)), content


def _tag(place: EnginePlace | RegistryPlace, subject: str) -> Tag:
    names = place.read(subject)
    if place.name == ENGINE:
        return Tag(subject, names)
    return Tag(subject, names, can_return=names is not None and place.has(names))


@dataclass(frozen=True)
class Draft:
    """What has to move, before it is kept.

    Attributes:
        promotion: the ledger's name for it.
        at: when it was drafted.
        sites: places with tags, the engine first.
        contents: what adoption files are to hold.
    """

    promotion: str
    at: datetime
    action: Action
    target: Target
    sites: tuple[Site, ...]
    steps: tuple[Step, ...]
    contents: tuple[bytes, ...]

    @property
    def is_empty(self) -> bool:
        """Whether everything names the image already."""
        named = all(site.immutable.names == site.target for site in self.sites)
        return named and not any(map(is_change, self.steps))

    @property
    def rows(self) -> tuple[Step, ...]:
        """All moves with what really was before them: an image's own tag may be new."""
        own = {(site.place, site.immutable.subject): site.immutable.names for site in self.sites}
        return tuple(
            Step(step.place, step.subject, own.get((step.place, step.subject), step.before), step.after)
            for step in self.steps
        )

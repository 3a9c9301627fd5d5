"""How things stand: what is adopted, what waits and why, and what runs where."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from builder.channels.called import called
from builder.channels.drift import Actual, Discrepancy, drifts, expected_of
from builder.channels.ledger.ledger import Ledger
from builder.channels.ledger.moves import HoldEntry, PromotionEntry
from builder.channels.looking import look_around
from builder.channels.places.place import FILE
from builder.channels.places.reach import Reach
from builder.channels.promotion.target import Target, target_of
from builder.channels.requirements import Lack, lacks
from builder.config import Config
from builder.engine.containers import Container, containers_of
from builder.engine.images import Image
from builder.engine.throwaway import RUN
from builder.errors import MachineError
from builder.plan.marks import OWN
from builder.plan.plan import Variant


@dataclass(frozen=True)
class Build:
    """An image, as a person knows it.

    Attributes:
        digest: what the engine calls it.
        name: such as `b10991`.
        tag: the one that is its own.
        commit: empty where it does not say.
        variant: such as `cuda`; empty where it does not say.
    """

    digest: str
    name: str
    tag: str
    commit: str
    variant: str


@dataclass(frozen=True)
class Channel:
    """What a tag of the engine names.

    Attributes:
        subject: the tag's whole name.
        build: None where it names nothing.
        promotion: what let it name that; None where that was nothing of this ledger.
    """

    subject: str
    build: Build | None
    promotion: PromotionEntry | None = None


@dataclass(frozen=True)
class Waiting:
    """The candidate, and why it is not adopted.

    Attributes:
        lacks: what it has not shown.
        holds: what holds it back.
        is_adopted: whether it is what is adopted.
    """

    channel: Channel
    lacks: tuple[Lack, ...] = ()
    holds: tuple[HoldEntry, ...] = ()
    is_adopted: bool = False

    @property
    def may_go(self) -> bool:
        """Whether a promotion would take it."""
        return self.channel.build is not None and not (self.lacks or self.holds or self.is_adopted)


@dataclass(frozen=True)
class Lane:
    """The channels of one variant.

    Attributes:
        variant: empty where all variants share their tags.
    """

    variant: str
    adopted: Channel
    previous: Channel
    candidate: Waiting


@dataclass(frozen=True)
class Service:
    """A container that serves with an image of ours.

    Attributes:
        build: the image that it was made of; None where the engine has that no more.
        adopted: the image that it should be made of; None where none is adopted.
    """

    container: Container
    build: Build | None
    adopted: Build | None

    @property
    def has_drifted(self) -> bool:
        """Whether it runs something else than what is adopted."""
        return self.container.runs and self.adopted is not None and self.container.image != self.adopted.digest


@dataclass(frozen=True)
class AdoptionFile:
    """An adoption file.

    Attributes:
        file: its path.
        digests: those that it names.
        names: what these images are called.
        unread: why nobody could tell, as a sentence; empty where one could.
    """

    file: str
    digests: tuple[str, ...]
    names: tuple[str, ...]
    unread: str


@dataclass(frozen=True)
class Standing:
    """How things stand.

    Attributes:
        repository: name of the images.
        services: in order of their projects and services.
        discrepancies: what is not as the ledger says.
        under_way: promotions that have not ended.
        unknown: why nobody can tell what the engine has, as a sentence; empty where it told.
    """

    repository: str
    lanes: tuple[Lane, ...]
    files: tuple[AdoptionFile, ...]
    services: tuple[Service, ...]
    discrepancies: tuple[Discrepancy, ...]
    under_way: tuple[PromotionEntry, ...]
    unknown: str = ""

    @property
    def has_drifted(self) -> bool:
        """Whether anything is not what it should be, or nobody can tell."""
        return bool(self.discrepancies or self.unknown) or any(service.has_drifted for service in self.services)


def survey(config: Config, ledger: Ledger, reach: Reach, now: datetime) -> Standing:
    """Look at everything; what does not answer is part of what is found.

    Raises:
        LedgerError: the ledger cannot be read.
    """
    repository = config.settings.image.repository
    seen = look_around(config, reach, partial(expected_of, ledger))
    view = _View(config, ledger, reach, now)
    unknown, lanes, services = "", tuple[Lane, ...](), tuple[Service, ...]()
    try:
        lanes = view.lanes()
        services = view.services(lanes)
    except MachineError as error:
        unknown = error.cause
    return Standing(
        repository,
        lanes,
        tuple(_file(ledger, one) for one in seen if one.place == FILE),
        services,
        drifts(ledger, seen),
        ledger.promotions.under_way(),
        unknown,
    )


@dataclass(frozen=True)
class _View:
    config: Config
    ledger: Ledger
    reach: Reach
    now: datetime

    def lanes(self) -> tuple[Lane, ...]:
        """The channels of each variant; where each has its own, of those that have any."""
        channels = self.config.settings.channels
        if not channels.per_variant:
            return (self._lane(""),)
        found = [self._lane(variant) for variant in Variant]
        used = [one for one in found if one.adopted.build or one.previous.build or one.candidate.channel.build]
        return tuple(used or found)

    def services(self, lanes: Sequence[Lane]) -> tuple[Service, ...]:
        """The containers that are made of an image of ours, those of gates left out."""
        engine = self.reach.engine
        images = {image.id: image for image in engine.images_with({})}
        known = {build.digest for lane in lanes for build in _builds(lane)}
        ours = [one for one in containers_of(engine) if RUN not in one.labels and self._is_ours(one, images, known)]
        by_name = sorted(ours, key=lambda one: (one.project, one.service, one.name))
        return tuple(self._service(one, images.get(one.image), lanes) for one in by_name)

    def _lane(self, variant: str) -> Lane:
        names = self.config.settings.channels.tags(variant)
        adopted = self._channel(names.adopted)
        last = self.ledger.promotions.adopted(self._repository, names.adopted, variant)
        if last and adopted.build and adopted.build.digest in self.ledger.images.same(last.after):
            adopted = Channel(adopted.subject, adopted.build, last)
        return Lane(variant, adopted, self._channel(names.previous), self._waiting(names.candidate, adopted))

    def _channel(self, tag: str) -> Channel:
        subject = f"{self._repository}:{tag}"
        image = self.reach.engine.image(subject)
        return Channel(subject, _build(target_of(image, self._repository)) if image else None)

    def _waiting(self, tag: str, adopted: Channel) -> Waiting:
        channel = self._channel(tag)
        if channel.build is None:
            return Waiting(channel)
        digests = self.ledger.images.same(channel.build.digest)
        if adopted.build and adopted.build.digest == channel.build.digest:
            return Waiting(channel, is_adopted=True)
        found = lacks(self.ledger, digests, channel.build.variant, self.config.settings, self.now)
        return Waiting(channel, found, self.ledger.holds.on(channel.build.digest))

    def _is_ours(self, container: Container, images: dict[str, Image], known: Iterable[str]) -> bool:
        """Whether a container is made of an image that has, or had, a name of ours."""
        image = images.get(container.image)
        names = (container.called, *(image.references if image else ()))
        ours = (self._repository, self.config.settings.registry.repository)
        return container.image in known or any(_bare(name) in ours for name in names if name)

    def _service(self, container: Container, image: Image | None, lanes: Sequence[Lane]) -> Service:
        build = _build(target_of(image, self._repository)) if image else self._remembered(container)
        variant = build.variant if build else ""
        lane = next((one for one in lanes if one.variant in ("", variant)), None)
        return Service(container, build, lane.adopted.build if lane else None)

    def _remembered(self, container: Container) -> Build | None:
        """What a container's labels tell of an image that is gone: they are the image's, too."""
        return _build(Target(container.image, container.labels, container.called))

    @property
    def _repository(self) -> str:
        return self.config.settings.image.repository


def _file(ledger: Ledger, seen: Actual) -> AdoptionFile:
    names = tuple(called(ledger, digest) for digest in seen.digests)
    return AdoptionFile(seen.subject, seen.digests, names, seen.unread)


def _build(target: Target) -> Build:
    labels = target.labels
    return Build(target.id, target.name, target.tag, labels.get(f"{OWN}commit", ""), target.variant)


def _builds(lane: Lane) -> Iterable[Build]:
    found = (lane.adopted.build, lane.previous.build, lane.candidate.channel.build)
    return (build for build in found if build)


def _bare(name: str) -> str:
    """A name without tag and digest."""
    name = name.partition("@")[0]
    folder, slash, last = name.rpartition("/")
    return f"{folder}{slash}{last.partition(':')[0]}"

"""What the channels' tags and the adoption files name now, whoever let them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from builder.channels.adoption.render import Places, images_of
from builder.channels.drift import Actual, Expectation, Expected
from builder.channels.places.place import FILE, REGISTRY
from builder.channels.places.reach import Reach
from builder.channels.registry.faults import RegistrySilent
from builder.channels.registry.reference import Reference
from builder.config import Config
from builder.errors import BuilderError
from builder.plan.plan import Variant
from builder.promotion import Channels, ChannelTags


@dataclass(frozen=True)
class Names:
    """The tags that move.

    Attributes:
        promoted: those that promotions move.
        built: those that builds move.
    """

    promoted: tuple[str, ...]
    built: tuple[str, ...]

    @property
    def all(self) -> tuple[str, ...]:
        """Both."""
        return (*self.promoted, *self.built)

    @classmethod
    def of(cls, channels: Channels) -> Names:
        """The tags of all variants, each once."""
        variants = tuple(Variant) if channels.per_variant else ("",)
        tags: list[ChannelTags] = [channels.tags(variant) for variant in variants]
        promoted = dict.fromkeys(tag for one in tags for tag in (one.adopted, one.previous))
        return cls(tuple(promoted), tuple(dict.fromkeys(one.candidate for one in tags)))


def look_around(config: Config, reach: Reach, expected: Expectation) -> tuple[Actual, ...]:
    """Ask the engine, the registry and the adoption files; what does not answer is told with each subject.

    Args:
        expected: what the ledger says of each place and subject.
    """
    settings, names = config.settings, Names.of(config.settings.channels)
    seen = list(_in_engine(reach, settings.image.repository, names, expected))
    if settings.registry.repository:
        seen += _in_registry(reach, settings.registry.repository, names, expected)
    return (*seen, *_in_files(config))


def _in_engine(reach: Reach, repository: str, names: Names, expected: Expectation) -> Iterator[Actual]:
    place = reach.tags
    for tag in names.all:
        subject = f"{repository}:{tag}"
        digest = _digest(expected(place.name, subject))
        try:
            names_now = place.read(subject)
            present = digest is None or reach.engine.image(digest) is not None
        except BuilderError as error:
            yield Actual(place.name, subject, (), unread=error.cause)
        else:
            yield Actual(place.name, subject, _one(names_now), built=tag in names.built, present=present)


def _in_registry(reach: Reach, repository: str, names: Names, expected: Expectation) -> Iterator[Actual]:
    silent = ""
    for tag in names.promoted:
        subject = f"{repository}:{tag}"
        if silent:
            yield Actual(REGISTRY, subject, (), unread=silent)
            continue
        try:
            yield _asked(reach, repository, subject, _digest(expected(REGISTRY, subject)))
        except BuilderError as error:
            silent = error.cause if isinstance(error, RegistrySilent) else ""
            yield Actual(REGISTRY, subject, (), unread=error.cause)


def _asked(reach: Reach, repository: str, subject: str, digest: str | None) -> Actual:
    """What a registry's tag names, and whether it is there as a whole.

    Raises:
        MachineError: the registry does not answer, or not as it should.
    """
    place = reach.registry(repository)
    reference = Reference.parse(subject)
    manifest = place.registry.find(reference)
    present = digest is None or place.registry.find(reference.pinned(digest)) is not None
    lost = place.registry.missing(reference, manifest) if manifest else ()
    return Actual(place.name, subject, _one(manifest.digest if manifest else None), present=present, lost=lost)


def _in_files(config: Config) -> Iterator[Actual]:
    try:
        named = images_of(config)
    except BuilderError as error:
        places = Places.of(config)
        for file in filter(None, (places.env_file, places.compose_file)):
            yield Actual(FILE, str(file), (), unread=error.cause)
        return
    for file, images in named.items():
        yield Actual(FILE, str(file), tuple(image.rpartition("@")[2] for image in images))


def _digest(expected: Expected | None) -> str | None:
    return expected.digest if expected else None


def _one(digest: str | None) -> tuple[str, ...]:
    return (digest,) if digest else ()

"""Looking at what may go, and taking it away one by one, each looked at again right before.

with ledger.alone(say):
    for removal in remove(field.engine_rows, ...):
        ...
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from builder.channels.ledger.ledger import Ledger
from builder.channels.looking import Names
from builder.channels.places.place import ENGINE, REGISTRY
from builder.channels.places.reach import Reach
from builder.channels.places.registry import RegistryPlace
from builder.channels.registry.faults import RegistryError
from builder.channels.retention.in_registry import came_to_be_needed, is_orphaned, items_in, look_into, sizes
from builder.channels.retention.on_engine import held_off, items_on
from builder.channels.retention.roots import Roots, roots_of
from builder.channels.retention.rules import Policy, Row, freed, judge
from builder.config import Config
from builder.engine.containers import containers_of
from builder.engine.images import Image
from builder.errors import BuilderError


@dataclass(frozen=True)
class Survey:
    """What a place has of ours, and what of it may go.

    Attributes:
        place: `engine` or `registry`.
        freed: bytes.
        tags: all that the registry has; none of the engine's.
        unread: why the registry could not be asked, so that what may be there stays on the engine; None where it was.
    """

    place: str
    rows: tuple[Row, ...]
    freed: int
    tags: tuple[str, ...] = ()
    unread: RegistryError | None = None

    @property
    def going(self) -> tuple[Row, ...]:
        """What may go."""
        return tuple(row for row in self.rows if not row.keep)


@dataclass(frozen=True)
class Removal:
    """What became of a thing that was to go.

    Attributes:
        done: whether it is gone.
        why: clause, why it is not; empty where it is.
    """

    row: Row
    done: bool
    why: str = ""


@dataclass(frozen=True)
class Pruner:
    """What is looked at, and by which rules.

    Attributes:
        locks: folder of the locks that builds hold.
        clock: tells the time.
    """

    config: Config
    ledger: Ledger
    reach: Reach
    policy: Policy
    locks: Path
    clock: Callable[[], datetime]

    def on_engine(self) -> Survey:
        """What the engine has of ours; where the registry cannot be asked, what may be there stays.

        Raises:
            BuilderError: something else that may need an image cannot be asked.
        """
        settings = self.config.settings
        repositories = [name for name in (settings.image.repository, settings.registry.repository) if name]
        images = self.reach.engine.images_with({})
        items = items_on(images, repositories, self._channels, self.ledger, self.locks)
        roots = self._roots(images)
        rows = judge(items, roots.needs, self.policy, self.clock())
        return Survey(ENGINE, rows, freed(rows), unread=roots.unread)

    def in_registry(self) -> Survey:
        """What the registry has of ours.

        Raises:
            BuilderError: something that may need an image cannot be asked.
        """
        found = look_into(self._registry)
        items = items_in(self._registry, found, self._channels, self.ledger)
        rows = judge(items, self._needs(), self.policy, self.clock())
        return Survey(REGISTRY, rows, sizes(rows, found), tuple(tag for one in found for tag in one.tags))

    def remove(self, survey: Survey) -> Iterator[Removal]:
        """Take away what may go, if it still may; what belongs to an image goes before it.

        Whoever calls this is alone with the ledger.
        """
        for row in sorted(survey.going, key=lambda row: row.item.kind == "build"):
            try:
                why = self._remove(row, survey)
            except BuilderError as error:
                why = error.cause
            yield Removal(row, not why, why)

    def _remove(self, row: Row, survey: Survey) -> str:
        """Take one thing away; why not, where it is not to go any more."""
        item = row.item
        why = _changed(row, self.on_engine().rows) if item.place == ENGINE else self._needed_there(row, survey)
        if why:
            return why
        with held_off(self.locks, item.plan) as is_free:
            if not is_free:
                return "a build is at it"
            if item.place == ENGINE:
                for name in item.names:
                    self.reach.engine.remove_image(name)
            else:
                place = self._registry
                place.registry.delete(place.reference.pinned(item.digest))
        return ""

    def _needed_there(self, row: Row, survey: Survey) -> str:
        """Why a thing of the registry is not to go any more; nothing is asked of the others but their new tags."""
        item, place = row.item, self._registry
        leader = next((one for one in survey.going if item.follows == one.item.digest), None)
        if leader is None and item.left and not is_orphaned(place, item):
            return "what it is about is there"
        needs = self._needs()
        for one in (leader.item, item) if leader else (item,):
            if why := needs.get(one.digest) or came_to_be_needed(place, one, survey.tags):
                return why
        return ""

    def _needs(self) -> Mapping[str, str]:
        """What is needed of the registry, by digest.

        Raises:
            BuilderError: something that may need an image cannot be asked.
        """
        roots = self._roots(self.reach.engine.images_with({}))
        if roots.unread:
            raise roots.unread
        return roots.needs

    def _roots(self, images: Sequence[Image]) -> Roots:
        return roots_of(self.config, self.ledger, self.reach, images, containers_of(self.reach.engine))

    @property
    def _channels(self) -> tuple[str, ...]:
        return Names.of(self.config.settings.channels).all

    @property
    def _registry(self) -> RegistryPlace:
        return self.reach.registry(self.config.settings.registry.repository)


def _changed(row: Row, now: Sequence[Row]) -> str:
    """Why something that was to go is not any more; empty where it still is."""
    item = row.item
    there = [one for one in now if (one.item.digest, one.item.names) == (item.digest, item.names)]
    if not there:
        return "its names are others by now"
    return there[0].why if there[0].keep else ""

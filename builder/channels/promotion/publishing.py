"""An image on its way into a registry, under the tag that is its own and never moves."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from builder.channels.ledger.values import short
from builder.channels.promotion.digests import EngineKind, Published, published
from builder.channels.registry.faults import RegistryError
from builder.engine.client import Engine
from builder.engine.naming import name_for_ever
from builder.errors import MachineError, NothingMoved

if TYPE_CHECKING:
    from builder.channels.places.registry import RegistryPlace
    from builder.channels.promotion.target import Target
    from builder.channels.registry.reference import Reference

_PUSH = 4 * 3600.0
"""Seconds for a push: a gigabyte on a slow line."""
_PULL = 4 * 3600.0
_SHOWN = 4
"""Lines of Docker's own words that are shown."""


@dataclass(frozen=True)
class Publisher:
    """What images are pushed with.

    Attributes:
        log: file that gets what Docker says.
    """

    engine: Engine
    kind: EngineKind
    place: RegistryPlace
    log: Path

    def find(self, target: Target) -> Published | None:
        """What the image's own tag names in the registry; None for nothing.

        Raises:
            NothingMoved: it names another image.
            RegistryError: the registry does not answer, or not as it should.
        """
        tag = self._tag(target)
        found = self.place.registry.find(tag)
        if found is None:
            return None
        there = published(self.place, found, self.kind)
        if there.id_in(self.kind) != target.id:
            raise NothingMoved(
                f"The tag {tag} is another image ({short(found.digest)}) in the registry, and it is never moved.",
                "Remove it there if it is not what its name says, or build the image anew.",
            )
        return there

    def publish(self, target: Target, known: Published | None) -> Published:
        """See that the registry has all of the image under its own tag; what it has is not pushed again.

        Args:
            known: the image in the registry, under whichever tag; None where nobody knows of it.

        Raises:
            NothingMoved: the tag is another image's in the registry.
            BuildError: it is another image's here.
            MachineError: the push failed, or what came of it is not the image.
        """
        tag = self._tag(target)
        there = self.find(target)
        if (known := there or known) and not self._missing(known):
            if there is None:
                self.place.registry.put(tag, known.whole)
            return known
        name_for_ever(self.engine, target.id, str(tag))
        self._push(tag)
        there = self.find(target)
        if there is None:
            raise RegistryError(f"{tag} was pushed, and the registry does not know it.", "Look at the registry's log.")
        if lost := self._missing(there):
            cause = f"{tag} was pushed, and the registry has lost {len(lost)} parts of it."
            raise RegistryError(cause, "Look at the registry's log.", excerpt=lost)
        return there

    def pull(self, there: Published) -> None:
        """Have the engine fetch an image by its digest.

        Raises:
            MachineError: it does not, or what came is another.
        """
        reference = str(self.place.reference.pinned(there.whole.digest))
        done = self.engine.pull(reference, timeout=_PULL)
        self._note(done.stdout + done.stderr)
        if done.returncode:
            lines = tuple(done.stderr.strip().splitlines()[-_SHOWN:])
            raise MachineError(
                f"The engine could not pull {reference}.", "See what it says.", excerpt=lines, log=self.log
            )
        image = self.engine.image(there.id_in(self.kind))
        if image is None:
            raise MachineError(f"The engine pulled {reference} and has another image.", "Look at the registry.")

    def _missing(self, there: Published) -> tuple[str, ...]:
        return self.place.registry.missing(self.place.reference, there.whole)

    def _push(self, tag: Reference) -> None:
        done = self.engine.push(str(tag), timeout=_PUSH)
        self._note(done.stdout + done.stderr)
        if done.returncode:
            lines = tuple(done.stderr.strip().splitlines()[-_SHOWN:])
            raise MachineError(
                f"The engine could not push {tag}.",
                f"See that the registry runs and takes what you push, or log in with `docker login {tag.host}`.",
                excerpt=lines,
                log=self.log,
            )

    def _note(self, said: str) -> None:
        with self.log.open("a", encoding="utf-8") as log:
            log.write(said)

    def _tag(self, target: Target) -> Reference:
        return self.place.reference.tagged(target.tag)

"""A registry's tags as a place in which something names an image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from builder.channels.places.place import REGISTRY
from builder.channels.registry.client import Registry
from builder.channels.registry.faults import RegistryError
from builder.channels.registry.reference import Reference


@dataclass(frozen=True)
class RegistryPlace:
    """Tags such as `registry.example/ai/llama:latest`, and digests of manifests and indexes.

    Attributes:
        registry: that answers.
        reference: the repository that the tags are in.
    """

    registry: Registry
    reference: Reference
    name: ClassVar[str] = REGISTRY

    def read(self, subject: str) -> str | None:
        """The digest of the manifest that a tag names; None for none."""
        manifest = self.registry.find(self._tag(subject))
        return manifest.digest if manifest else None

    def has(self, digest: str) -> bool:
        """Whether the registry has a manifest with all that it refers to.

        Raises:
            RegistryError: it does not answer, or not as it should.
        """
        manifest = self.registry.find(self.reference.pinned(digest))
        return manifest is not None and not self.registry.missing(self.reference, manifest)

    def move(self, subject: str, digest: str | None) -> None:
        """Put the very bytes of a manifest, which is whole, under a tag.

        Raises:
            RegistryError: the registry refuses, lost a part of the image, or was to take a tag away, which none can.
        """
        tag = self._tag(subject)
        if digest is None:
            raise RegistryError(
                f"A tag cannot be taken away from a registry, and {subject} was none before.",
                "Let it name something else.",
            )
        manifest = self.registry.find(tag.pinned(digest))
        if manifest is None:
            raise RegistryError(f"The registry has no manifest {tag.pinned(digest)}.", "Push the image again.")
        if lost := self.registry.missing(tag, manifest):
            cause = f"The registry has lost {len(lost)} parts of {tag.pinned(digest)}."
            raise RegistryError(cause, "Push the image again.", excerpt=lost)
        self.registry.put(tag, manifest)

    def _tag(self, subject: str) -> Reference:
        tag = Reference.parse(subject)
        if (tag.host, tag.repository) != (self.reference.host, self.reference.repository) or not tag.tag or tag.digest:
            raise ValueError(f"{subject} is no tag of {self.reference}")
        return tag

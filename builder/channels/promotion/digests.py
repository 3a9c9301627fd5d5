"""One image by all its digests: what an engine calls it, its configuration, its manifest, an index that holds that."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from builder.channels.ledger.evidence import ImageEntry
from builder.channels.ledger.ledger import Ledger
from builder.channels.registry.faults import RegistryError
from builder.channels.registry.manifest import Manifest

if TYPE_CHECKING:
    from builder.channels.places.registry import RegistryPlace
    from builder.channels.promotion.target import Target

_ATTESTATION = "vnd.docker.reference.type"
"""Annotation of what is in an index beside images."""


@dataclass(frozen=True)
class EngineKind:
    """How an engine names images.

    Attributes:
        architecture: its processor in Docker's words, such as `amd64`.
        containerd_store: whether an ID is the digest of a manifest or an index, and not of a configuration.
    """

    architecture: str
    containerd_store: bool


@dataclass(frozen=True)
class Published:
    """An image in a registry.

    Attributes:
        whole: what a tag names: a manifest, or an index.
        own: the manifest of the engine's architecture; the same where there is no index.
    """

    whole: Manifest
    own: Manifest

    @property
    def config(self) -> str:
        """Digest of its configuration."""
        return self.own.blobs[0]

    def id_in(self, kind: EngineKind) -> str:
        """What an engine calls it."""
        return self.whole.digest if kind.containerd_store else self.config


def published(place: RegistryPlace, whole: Manifest, kind: EngineKind) -> Published:
    """What a manifest or an index means to an engine.

    Raises:
        RegistryError: the index holds nothing for the engine, or the registry lost that.
    """
    if not whole.is_index:
        return Published(whole, whole)
    digest = _child(whole, kind.architecture)
    own = place.registry.find(place.reference.pinned(digest)) if digest else None
    if own is None or own.is_index:
        lost = f"lost the manifest {digest}" if digest else f"holds no image for linux/{kind.architecture}"
        raise RegistryError(f"The index {place.reference.pinned(whole.digest)} {lost}.", "Push the image again.")
    return Published(whole, own)


def learn(ledger: Ledger, target: Target, found: Published | None, kind: EngineKind) -> None:
    """Have the ledger know which digests are this image's.

    Raises:
        LedgerError: the ledger cannot be written to.
        Contradiction: it knows it otherwise.
    """
    if found:
        indexes = (found.whole.digest,) if found.whole.is_index else ()
        ledger.images.record(ImageEntry(found.config, (found.own.digest,), indexes, labels=target.labels or None))
    elif kind.containerd_store:
        ledger.images.mention(target.id)
    else:
        ledger.images.record(ImageEntry(target.id, labels=target.labels or None))


def _child(index: Manifest, architecture: str) -> str | None:
    """The digest of the first image for Linux on an architecture."""
    for entry in json.loads(index.content)["manifests"]:
        platform, annotations = (entry.get(name) or {} for name in ("platform", "annotations"))
        if not isinstance(platform, dict) or _ATTESTATION in annotations:
            continue
        if not platform or (platform.get("os"), platform.get("architecture")) == ("linux", architecture):
            return str(entry["digest"])
    return None

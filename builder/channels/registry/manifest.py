"""Manifests and indexes: bytes with a media type, and what they refer to."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from builder.channels.ledger.values import digest_of, is_digest
from builder.channels.registry.faults import RegistryLies

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
_INDEXES = (OCI_INDEX, DOCKER_LIST)
MEDIA_TYPES = (OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, DOCKER_LIST)
"""All that are understood; the first format of Docker is not, whose digests are of something else than its bytes."""
LIMIT = 4 << 20
"""Bytes that a manifest may have; the specification has registries take so many."""


@dataclass(frozen=True)
class Manifest:
    """A manifest or an index, byte for byte.

    Attributes:
        media_type: one of MEDIA_TYPES.
        content: the bytes.
        children: digests of the manifests that an index refers to, in order.
        blobs: digests of the configuration and the layers of a manifest, in order.
    """

    media_type: str
    content: bytes = field(repr=False)
    children: tuple[str, ...]
    blobs: tuple[str, ...]

    @classmethod
    def read(cls, media_type: str, content: bytes, name: str) -> Manifest:
        """Take bytes for what they say they are.

        Args:
            media_type: as the registry names it; parameters do not count.
            name: what is read, for people.

        Raises:
            RegistryLies: they are something else.
        """
        kind = media_type.partition(";")[0].strip().lower()
        if kind not in MEDIA_TYPES:
            raise _lie(name, f"it is of the type {media_type!r}, which is no manifest's")
        try:
            document = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise _lie(name, "it is not JSON") from error
        if not isinstance(document, dict) or document.get("schemaVersion") != 2:  # noqa: PLR2004
            raise _lie(name, "it is no manifest of version 2")
        _require_one_meaning(document, kind, name)
        if kind in _INDEXES:
            return cls(kind, content, _digests(document.get("manifests"), name), ())
        blobs = (*_digests([document.get("config")], name), *_digests(document.get("layers"), name))
        return cls(kind, content, (), blobs)

    @cached_property
    def digest(self) -> str:
        """Of the bytes."""
        return digest_of(self.content)

    @property
    def is_index(self) -> bool:
        """Whether it refers to manifests."""
        return self.media_type in _INDEXES

    @property
    def config(self) -> str | None:
        """Digest of a manifest's configuration; None for an index."""
        return None if self.is_index else self.blobs[0]


def _require_one_meaning(document: dict[str, Any], kind: str, name: str) -> None:
    """Refuse what one reader may take for a manifest and another for an index."""
    if document.get("mediaType", kind) != kind:
        raise _lie(name, f"it calls itself {document['mediaType']!r}, and the registry {kind!r}")
    others = ("config", "layers") if kind in _INDEXES else ("manifests",)
    if any(other in document for other in others):
        raise _lie(name, "it is a manifest and an index at once")


def _digests(descriptors: object, name: str) -> tuple[str, ...]:
    if not isinstance(descriptors, list):
        raise _lie(name, "what it refers to is no list")
    found = [part.get("digest") if isinstance(part, dict) else None for part in descriptors]
    digests = tuple(digest for digest in found if isinstance(digest, str) and is_digest(digest))
    if len(digests) != len(found):
        raise _lie(name, "it refers to something without a digest by SHA-256")
    return digests


def _lie(name: str, how: str) -> RegistryLies:
    return RegistryLies(f"The manifest {name} is not what it should be: {how}.", "Look at what the registry serves.")

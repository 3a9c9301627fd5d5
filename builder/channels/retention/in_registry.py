"""Manifests of ours in a registry, as far as a tag names them: what has none, a registry does not tell of."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from builder.channels.ledger.ledger import Ledger
from builder.channels.places.place import REGISTRY
from builder.channels.places.registry import RegistryPlace
from builder.channels.promotion.target import Target
from builder.channels.registry.manifest import Manifest
from builder.channels.retention.rules import Item, Row
from builder.channels.retention.tags import given_by_people
from builder.plan.marks import OWN, PLAN

_SIGNATURE = re.compile(r"sha256-(?P<digest>[0-9a-f]{64})(\.(sig|att|sbom))?")
"""Tags under which cosign puts what it says about an image."""
_RENAMED = "its names are others by now"


@dataclass(frozen=True)
class Found:
    """Something that a registry has.

    Attributes:
        blobs: sizes in bytes by digest, those of an index's manifests among them.
    """

    manifest: Manifest
    tags: tuple[str, ...]
    blobs: Mapping[str, int]


def look_into(place: RegistryPlace) -> tuple[Found, ...]:
    """All that the tags of a repository name, each once.

    Raises:
        RegistryError: the registry does not answer, or not as it should.
    """
    manifests: dict[str, Manifest] = {}
    tags: dict[str, list[str]] = defaultdict(list)
    for tag in place.registry.tags(place.reference):
        if manifest := place.registry.find(place.reference.tagged(tag)):
            manifests[manifest.digest] = manifest
            tags[manifest.digest].append(tag)
    return tuple(Found(one, tuple(tags[digest]), _blobs(one, place)) for digest, one in manifests.items())


def items_in(place: RegistryPlace, found: Sequence[Found], channels: Iterable[str], ledger: Ledger) -> tuple[Item, ...]:
    """What a registry has of ours; what the ledger never saw stays, and so does what somebody gave a tag.

    Args:
        channels: the tags that move.

    Raises:
        RegistryError: the registry does not answer, or not as it should.
    """
    there = {one.manifest.digest for one in found}
    return tuple(_item(place, one, there, {*channels}, ledger) for one in found)


def came_to_be_needed(place: RegistryPlace, item: Item, seen: Iterable[str]) -> str:
    """Why something that was to go is not any more, by the tags that it has or may have got since, as a clause.

    Args:
        seen: all tags that were looked at before.

    Raises:
        RegistryError: the registry does not answer, or not as it should.
    """
    there = place.registry.tags(place.reference)
    own = [name.rpartition(":")[2] for name in item.names]
    if not {*own} <= {*there}:
        return _RENAMED
    for tag in {*there} - {*seen} | {*own}:
        manifest = place.registry.find(place.reference.tagged(tag))
        named = manifest.digest if manifest else None
        if (named == item.digest) != (tag in own):
            return _RENAMED
        if manifest and item.digest in manifest.children:
            return f"part of {tag}"
    return ""


def is_orphaned(place: RegistryPlace, item: Item) -> bool:
    """Whether what something is about is not in a registry.

    Raises:
        RegistryError: the registry does not answer, or not as it should.
    """
    return item.follows is not None and place.registry.find(place.reference.pinned(item.follows)) is None


def sizes(rows: Sequence[Row], found: Sequence[Found]) -> int:
    """Bytes of blobs that only what may go consists of."""
    blobs = {one.manifest.digest: one.blobs for one in found}
    kept = {digest for row in rows if row.keep for digest in blobs[row.item.digest]}
    gone = {digest: size for row in rows if not row.keep for digest, size in blobs[row.item.digest].items()}
    return sum(size for digest, size in gone.items() if digest not in kept)


def _item(place: RegistryPlace, found: Found, there: set[str], channels: set[str], ledger: Ledger) -> Item:
    manifest = found.manifest
    names = tuple(str(place.reference.tagged(tag)) for tag in found.tags)
    size = sum(found.blobs.values())
    if signed := _signed(found.tags):
        item = Item(REGISTRY, manifest.digest, names, size, follows=signed, kind="companion")
        is_gone = signed not in there and is_orphaned(place, item)
        return replace(item, left="what it is about is gone") if is_gone else item
    known = ledger.images.find(manifest.digest)
    labels = (known.labels if known else None) or {}
    own = {Target(one, labels, one).tag for one in ledger.images.same(manifest.digest)}
    return Item(
        REGISTRY,
        manifest.digest,
        names,
        size,
        since=_since(manifest.digest, ledger),
        variant=labels.get(f"{OWN}variant", ""),
        bound=given_by_people(names, own | channels) if PLAN in labels else "the ledger knows no build of it",
        parts=frozenset(manifest.children),
    )


def _since(digest: str, ledger: Ledger) -> datetime | None:
    return max((build.at for build in ledger.images.builds(digest)), default=None)


def _signed(tags: Sequence[str]) -> str | None:
    """The digest that something is about which has no other tags than cosign's; None for anything else."""
    found = [_SIGNATURE.fullmatch(tag) for tag in tags]
    digests = {one["digest"] for one in found if one}
    return f"sha256:{digests.pop()}" if all(found) and len(digests) == 1 else None


def _blobs(manifest: Manifest, place: RegistryPlace) -> Mapping[str, int]:
    return dict(_sized(manifest, place))


def _sized(manifest: Manifest, place: RegistryPlace) -> Iterator[tuple[str, int]]:
    document = json.loads(manifest.content)
    for part in (document.get("config"), *document.get("layers", ())):
        if part:
            size = part.get("size")
            yield part["digest"], size if isinstance(size, int) else 0
    for digest in manifest.children:
        # Of an index's manifests only some may have been pushed.
        if child := place.registry.find(place.reference.pinned(digest)):
            yield from _sized(child, place)

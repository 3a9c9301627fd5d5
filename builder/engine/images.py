"""Images as the engine has them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from builder.engine.moments import read_moment


@dataclass(frozen=True)
class Image:
    """One image in an engine's store.

    Attributes:
        id: what the engine calls it, `sha256:...`; the config's digest in the classic store, the manifest's in
            containerd's.
        references: names with tags that point at it.
        repo_digests: `name@sha256:...` under which a registry knows it.
        size: bytes, unpacked.
        labels: its labels.
        entrypoint: what a container starts.
        user: who the container runs as; empty is root.
        architecture: such as `amd64`.
        layers: digests of its unpacked layers, lowest first; the same in every store.
        named: when it was last given a name on this engine; None where that is not known.
    """

    id: str
    references: tuple[str, ...]
    repo_digests: tuple[str, ...]
    size: int
    labels: Mapping[str, str]
    entrypoint: tuple[str, ...]
    user: str
    architecture: str
    layers: tuple[str, ...] = ()
    named: datetime | None = None

    def stands_on(self, base: Image) -> bool:
        """Whether all of another image's layers, of which there is at least one, are this one's lowest."""
        return bool(base.layers) and self.layers[: len(base.layers)] == base.layers


def read_image(facts: Mapping[str, Any]) -> Image:
    """An image by the facts of `docker image inspect`.

    Raises:
        KeyError: they are not.
    """
    config = facts.get("Config") or {}
    return Image(
        id=facts["Id"],
        references=tuple(facts.get("RepoTags") or ()),
        repo_digests=tuple(facts.get("RepoDigests") or ()),
        size=facts["Size"],
        labels=config.get("Labels") or {},
        entrypoint=tuple(config.get("Entrypoint") or ()),
        user=config.get("User") or "",
        architecture=facts.get("Architecture") or "",
        layers=tuple((facts.get("RootFS") or {}).get("Layers") or ()),
        named=read_moment((facts.get("Metadata") or {}).get("LastTagTime") or ""),
    )

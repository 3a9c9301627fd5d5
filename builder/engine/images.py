"""Images as the engine has them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


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
    """

    id: str
    references: tuple[str, ...]
    repo_digests: tuple[str, ...]
    size: int
    labels: Mapping[str, str]
    entrypoint: tuple[str, ...]
    user: str
    architecture: str

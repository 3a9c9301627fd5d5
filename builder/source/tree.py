"""The tree that is built."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from builder.source.patches.status import PatchStatus
from builder.upstream.revision import Revision


@dataclass(frozen=True)
class SourceTree:
    """An upstream tree on disk, ready to be a build context.

    It holds no `.git` and no `.dockerignore`: a build must see all of it and nothing of a repository around it.

    Attributes:
        path: its top folder; not written to.
        revision: the upstream commit it is, or was before the patches.
        digest: SHA-256 over names, modes and contents, `sha256:...`.
        patches: a status for every patch of the queue; those that upstream has are not laid on it.
        patches_digest: `sha256:...` over names and diffs of those that are; None where nothing is.
    """

    path: Path
    revision: Revision
    digest: str
    patches: tuple[PatchStatus, ...] = ()
    patches_digest: str | None = None

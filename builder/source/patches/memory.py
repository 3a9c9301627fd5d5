"""What is remembered of queues that applied as a whole, so that the same queue on the same tree is not tried again."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from builder.paths import Paths
from builder.source.patches.queue import PatchQueue
from builder.source.patches.status import PatchStatus
from builder.staging import write_whole

_SCHEMA = "1"


@dataclass(frozen=True)
class Memory:
    """Statuses in the cache, one file for each queue on each tree."""

    paths: Paths

    def recall(self, base: str, queue: PatchQueue) -> tuple[PatchStatus, ...] | None:
        """What became of the queue on a tree; None where that is not known.

        Args:
            base: name of the tree that no other has.
        """
        from pydantic import TypeAdapter, ValidationError

        try:
            return TypeAdapter(tuple[PatchStatus, ...]).validate_json(self._file(base, queue).read_bytes())
        except (OSError, ValidationError):
            return None

    def keep(self, base: str, queue: PatchQueue, statuses: tuple[PatchStatus, ...]) -> None:
        """Remember it."""
        from pydantic import TypeAdapter

        write_whole(self._file(base, queue), TypeAdapter(tuple[PatchStatus, ...]).dump_json(statuses, indent=2))

    def _file(self, base: str, queue: PatchQueue) -> Path:
        key = hashlib.sha256("\0".join((_SCHEMA, base, queue.digest)).encode())
        return self.paths.patches / f"{key.hexdigest()}.json"

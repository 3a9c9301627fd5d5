"""A queue is rewritten as a whole: killed at any moment, it is the old one or one that the next command completes.

The new files are made ready in a folder beside the old ones, and that folder is given its name when it is whole. From
then on the new queue holds: its files are moved to their places one by one, `series` after all others.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from builder.source.patches.queue import SERIES, PatchQueue, QueuePlace
from builder.staging import disk_errors, exclusive, staged, sweep

_READY = ".rewriting"
_JOURNAL = "journal.json"
_FILES = "files"
_STATE = "refresh.json"
_LABEL = "queue-"
"""Tells what is made ready from a person's own files."""


@dataclass(frozen=True)
class NewQueue:
    """What a queue becomes.

    Attributes:
        files: contents by name, of those that are new or other than before.
        series: the whole of `series`.
        removed: names of files that go.
    """

    files: Mapping[str, bytes]
    series: bytes
    removed: Sequence[str] = ()


@dataclass(frozen=True)
class Workplace:
    """Where work on one queue is kept from one command to the next.

    Attributes:
        queue: folder of the queue.
        folder: in the cache, for this queue alone.
    """

    queue: Path
    folder: Path

    @classmethod
    def of(cls, queue: Path, place: Path) -> Workplace:
        """The workplace of a queue among those of others; nothing is made yet."""
        whole = str(queue.resolve())
        readable = re.sub(r"[^A-Za-z0-9]+", "-", whole).strip("-")[-40:]
        return cls(queue, place / f"{readable}-{hashlib.sha256(whole.encode()).hexdigest()[:12]}")

    @property
    def state(self) -> Path:
        """The document of a refresh that is under way."""
        return self.folder / _STATE

    @property
    def lock(self) -> Path:
        """What is held by whoever works on the queue."""
        return self.folder / "lock"

    @contextmanager
    def held(self, say: Callable[[str], None]) -> Iterator[None]:
        """Work on the queue while nobody else does; what was begun before is completed.

        Args:
            say: told when another process has to be waited for.
        """
        with disk_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        with exclusive(self.lock, say):
            sweep(self.queue, _LABEL)
            if (self.queue / _READY).is_dir():
                self._complete()
                say(f"The rewriting of {self.queue}, in the middle of which a builder was ended, is complete now.")
            yield

    def put(self, new: NewQueue) -> None:
        """Make the queue a new one, and end a refresh that is under way; call it while the workplace is held."""
        with disk_errors(self.queue):
            self.queue.mkdir(parents=True, exist_ok=True)
        with staged(self.queue, _LABEL) as scratch, disk_errors(self.queue):
            whole = scratch / "whole"
            (whole / _FILES).mkdir(parents=True)
            for name, content in new.files.items():
                (whole / _FILES / name).write_bytes(content)
            (whole / SERIES).write_bytes(new.series)
            journal = {"schema_version": 1, "removed": list(new.removed)}
            (whole / _JOURNAL).write_text(json.dumps(journal), encoding="utf-8")
            whole.rename(self.queue / _READY)
        self._complete()

    def _complete(self) -> None:
        ready = self.queue / _READY
        with disk_errors(self.queue):
            if (ready / _JOURNAL).is_file():
                for file in sorted((ready / _FILES).iterdir()):
                    file.replace(self.queue / file.name)
                if (ready / SERIES).is_file():
                    (ready / SERIES).replace(self.queue / SERIES)
                for name in json.loads((ready / _JOURNAL).read_bytes())["removed"]:
                    (self.queue / Path(name).name).unlink(missing_ok=True)
                self.state.unlink(missing_ok=True)
                (ready / _JOURNAL).unlink()
            shutil.rmtree(ready)


def open_queue(queue: QueuePlace, place: Path, say: Callable[[str], None]) -> PatchQueue:
    """The queue as it is while nobody rewrites it, completed first where another process was killed at that.

    Args:
        place: the cache's folder for patches.
        say: told when another process has to be waited for.

    Raises:
        SourceError: it is not in order.
    """
    if not queue.folder.is_dir():
        return queue.load()
    with Workplace.of(queue.folder, place).held(say):
        return queue.load()

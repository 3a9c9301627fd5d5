"""From an upstream content and a queue to a kept tree with every patch on it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from builder.console import Reporter
from builder.errors import SourceError
from builder.process import Runner
from builder.source.patches.bench import Bench, bench_of, bench_on
from builder.source.patches.judge import judge
from builder.source.patches.memory import Memory
from builder.source.patches.queue import PatchQueue
from builder.source.patches.status import APPLIED, FAILED, PatchStatus, Standing
from builder.source.store import KeptTree, TreeStore
from builder.staging import disk_errors
from builder.upstream.git import Git
from builder.upstream.repository import CommitSupply
from builder.upstream.revision import Revision
from builder.upstream.supply import Supply, Traces

_LINK = "120000"
_PROGRAM = "100755"


class PatchesFail(SourceError):
    """A patch of the queue does not apply."""


@dataclass(frozen=True)
class Laid:
    """A kept tree and what is on it.

    Attributes:
        statuses: a row for every patch of the queue.
        digest: over those that are laid on the tree; None where nothing is.
    """

    kept: KeptTree
    statuses: tuple[PatchStatus, ...] = ()
    digest: str | None = None


@dataclass(frozen=True)
class _Patched:
    """A tree of a bench as something that can be kept.

    Attributes:
        base: the unpatched tree, where that lies in a folder and not in a repository.
    """

    revision: Revision
    identity: str
    bench: Bench
    tree: str
    base: KeptTree | None

    def write(self, folder: Path) -> Traces:
        """Check the tree out, or copy the unpatched one and write what differs."""
        if self.base is None:
            self.bench.write(self.tree, folder)
            return Traces()
        with disk_errors(folder.parent):
            shutil.copytree(self.base.path, folder, symlinks=True, dirs_exist_ok=True)
            changed = self.bench.changed(self.bench.base, self.tree)
            for path in changed:
                _remove(folder, path)
            for path, entry in changed.items():
                if entry:
                    _write_entry(folder / path, entry.mode, self.bench.content(entry.blob))
        return self.base.traces


@dataclass(frozen=True)
class Layer:
    """Lays a queue on what origins give.

    Attributes:
        queue: may be empty.
    """

    queue: PatchQueue
    store: TreeStore
    memory: Memory
    runner: Runner
    reporter: Reporter

    def keep(self, supply: Supply) -> Laid:
        """The tree of a supply with every patch on it, written out unless it is there.

        Raises:
            PatchesFail: a patch neither applies nor is upstream already.
            SourceError: the tree cannot be had or is no llama.cpp tree.
            MachineError: the disk is full or may not be written to.
        """
        if not self.queue.patches:
            return Laid(self.store.keep(supply))
        base = None if isinstance(supply, CommitSupply) else self.store.keep(supply)
        name = base.digest.removeprefix("sha256:") if base else supply.identity or ""
        identity = f"{name}-patches-{self.queue.digest.removeprefix('sha256:')[:16]}"
        statuses = self.memory.recall(name, self.queue)
        kept = self.store.find(identity) if statuses else None
        if statuses is None or kept is None:
            with self.bench(supply, base) as bench:
                judgement = judge(bench, self.queue.patches)
                statuses = judgement.statuses
                _refuse_failed(statuses, supply.revision)
                kept = self.store.keep(_Patched(supply.revision, identity, bench, judgement.tree, base))
            self.memory.keep(name, self.queue, statuses)
        self._say(statuses)
        laid = [status.name for status in statuses if status.standing in APPLIED]
        return Laid(kept, statuses, self.queue.digest_of(laid) if laid else None)

    @contextmanager
    def bench(self, supply: Supply, base: KeptTree | None) -> Iterator[Bench]:
        """Where patches are tried on a supply.

        Args:
            base: the supply's tree, for one that is no commit.
        """
        if isinstance(supply, CommitSupply):
            with bench_on(supply.repository, supply.commit, supply.ensure) as bench:
                yield bench
        else:
            assert base is not None
            with bench_of(base.path, Git(self.runner, supply.revision.origin)) as bench:
                yield bench

    def _say(self, statuses: Sequence[PatchStatus]) -> None:
        counts = {standing: sum(status.standing is standing for status in statuses) for standing in Standing}
        text = f"Patches: {counts[Standing.CLEAN]} clean"
        if counts[Standing.FUZZY]:
            text += f", {counts[Standing.FUZZY]} fuzzy"
        self.reporter.notice(f"{text}.")
        for status in statuses:
            if status.standing is Standing.UPSTREAM:
                self.reporter.notice(f"Left out {status.name}: upstream has it ({status.detail}).")


def _refuse_failed(statuses: Sequence[PatchStatus], revision: Revision) -> None:
    failed = [status for status in statuses if status.standing in FAILED]
    if failed:
        raise PatchesFail(
            f"{len(failed)} of {len(statuses)} patches {'does' if len(failed) == 1 else 'do'} not apply"
            f" to {revision.title}.",
            "`builder patches check` shows all, `builder patches explain` one, `builder patches refresh` mends them.",
            excerpt=tuple(f"{status.name}: {status.standing}, {status.detail}" for status in failed),
        )


def _remove(folder: Path, path: str) -> None:
    """Remove a file, and the folders that it leaves empty: a file may come in the place of one."""
    place = folder / path
    if place.is_symlink() or place.is_file():
        place.unlink()
    for parent in place.relative_to(folder).parents[:-1]:
        if (folder / parent).is_dir() and not any((folder / parent).iterdir()):
            (folder / parent).rmdir()


def _write_entry(place: Path, mode: str, content: bytes) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    if mode == _LINK:
        place.symlink_to(os.fsdecode(content))
    else:
        place.write_bytes(content)
        place.chmod(0o755 if mode == _PROGRAM else 0o644)

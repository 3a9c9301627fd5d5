"""A queue is put on a new base: what upstream has is dropped, what moved is written anew, what conflicts is fixed.

Nothing of the queue is touched before every patch of it has a place on the new base. What a person fixed or left out
on the way is all that is remembered from one command to the next: the rest is judged again and comes out the same.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import count
from pathlib import Path

from builder.errors import SourceError, UsageError
from builder.source.patches.bench import Bench
from builder.source.patches.export import rewritten
from builder.source.patches.fixed import take_fixed
from builder.source.patches.fixing import Obstacle, lay_out
from builder.source.patches.judge import Judgement, judge
from builder.source.patches.patch import Patch, parse_patch
from builder.source.patches.queue import SERIES, PatchQueue, load_queue, named
from builder.source.patches.resume import Progress, Stop, begun, note, require_none
from builder.source.patches.rewrite import NewQueue, Workplace
from builder.source.patches.status import APPLIED, FAILED, PatchStatus, Standing
from builder.staging import disk_errors
from builder.upstream.revision import Revision

Opener = Callable[[str | None], AbstractContextManager[tuple[Bench, Revision]]]
"""Opens a bench on a commit; None is the revision that is wanted."""


class Step(StrEnum):
    """What is asked of a refresh."""

    BEGIN = "begin"
    CONTINUE = "continue"
    SKIP = "skip"
    ABORT = "abort"


class Deed(StrEnum):
    """What was done with a patch."""

    KEPT = "kept"
    REWRITTEN = "written anew"
    FIXED = "fixed"
    DROPPED = "dropped"
    LEFT_OUT = "left out"


@dataclass(frozen=True)
class Refreshed:
    """Where a refresh has come to.

    Attributes:
        revision: name of the new base.
        statuses: of the patches on it, those left out excepted.
        deeds: what was done, by name and in the order of the queue; empty while the refresh waits.
        left_out: reasons by name.
        stop: the patch that has to be fixed; None where the refresh is done.
    """

    revision: str
    statuses: tuple[PatchStatus, ...]
    deeds: Mapping[str, Deed] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)
    stop: Stop | None = None

    @property
    def unchanged(self) -> bool:
        """Whether there was nothing to do."""
        return self.stop is None and set(self.deeds.values()) <= {Deed.KEPT}


def refresh(
    folder: Path, place: Path, step: Step, opened: Opener, say: Callable[[str], None], *, required: bool = False
) -> Refreshed | None:
    """Take one step of a refresh.

    Args:
        folder: of the queue.
        place: the cache's folder for patches.
        say: told what a person should know while it lasts.
        required: whether a person named the folder, so that it must be there.

    Returns:
        None where it was aborted.

    Raises:
        UsageError: no refresh is under way, or one is; or the queue changed meanwhile.
        Unfinished: what stopped it is not fixed yet.
        SourceError: the queue is not in order, or the base cannot be had.
        MachineError: the disk is full or may not be written to.
    """
    workplace = Workplace.of(folder, place)
    with workplace.held(say):
        if step is Step.ABORT:
            _abort(workplace)
            return None
        queue = load_queue(folder, required=required)
        if step is Step.BEGIN:
            require_none(workplace)
            with opened(None) as (bench, revision):
                progress = Progress(queue.digest, revision.title, bench.commit, bench.base)
                return _Refresh(bench, queue, workplace, progress).run()
        progress = _under_way(workplace)
        progress.require(queue)
        with opened(progress.commit) as (bench, _):
            return _resumed(bench, queue, workplace, progress, step, say).run()


def _abort(workplace: Workplace) -> None:
    if not workplace.state.is_file():
        raise _nothing_under_way(workplace)
    workplace.state.unlink()
    _sweep(workplace)


def _under_way(workplace: Workplace) -> Progress:
    progress = begun(workplace)
    if progress is None or progress.stop is None:
        raise _nothing_under_way(workplace)
    return progress


def _nothing_under_way(workplace: Workplace) -> UsageError:
    return UsageError(f"No refresh of {workplace.queue} is under way.", "Begin one with `builder patches refresh`.")


def _resumed(
    bench: Bench, queue: PatchQueue, workplace: Workplace, progress: Progress, step: Step, say: Callable[[str], None]
) -> _Refresh:
    stop = progress.stop
    assert stop is not None
    if bench.base != progress.base:
        raise UsageError(
            f"What is taken for {progress.revision} is not what the refresh began with: its files changed.",
            "Name the origin it began with, or `builder patches refresh --abort` and begin anew.",
        )
    if step is Step.SKIP:
        return _Refresh(bench, queue, workplace, progress.without(stop.name, stop.why))
    patch = queue.find(stop.name)
    tree = take_fixed(bench, stop, patch)
    if more := sorted(set(bench.changed(stop.before, tree)) - set(patch.paths)):
        say(f"{stop.name} now changes more files than before: {', '.join(more)}.")
    content = progress.content_of(stop.name) or queue.contents[queue.patches.index(patch)]
    fixed = rewritten(bench, content, stop.before, tree)
    parse_patch(stop.name, fixed)
    return _Refresh(bench, queue, workplace, progress.with_fixed(stop.name, fixed))


@dataclass(frozen=True)
class _Refresh:
    bench: Bench
    queue: PatchQueue
    workplace: Workplace
    progress: Progress

    def run(self) -> Refreshed:
        """Judge everything; write the new queue, or stop at the first patch that does not apply."""
        contents = dict(self._contents())
        patches = [parse_patch(name, content) for name, content in contents.items()]
        judgement = judge(self.bench, patches, self.queue.patches if self.progress.changed else ())
        failed = [at for at, status in enumerate(judgement.statuses) if status.standing in FAILED]
        if failed:
            return self._stopped(patches, judgement, failed[0])
        new, deeds = self._new_queue(contents, judgement)
        if new.files or new.removed or self.progress.left_out:
            self.workplace.put(new)
        else:
            self.workplace.state.unlink(missing_ok=True)
        _sweep(self.workplace)
        return Refreshed(self.progress.revision, judgement.statuses, deeds, self.progress.left_out)

    def _contents(self) -> Iterator[tuple[str, bytes]]:
        """The queue with what a person made of it."""
        for patch, content in zip(self.queue.patches, self.queue.contents, strict=True):
            if patch.name not in self.progress.left_out:
                yield patch.name, self.progress.content_of(patch.name) or content

    def _stopped(self, patches: Sequence[Patch], judgement: Judgement, at: int) -> Refreshed:
        before = zip(patches[:at], judgement.statuses, judgement.trees, strict=False)
        earlier = [(patch.subject, tree) for patch, status, tree in before if status.standing in APPLIED]
        patch, status = patches[at], judgement.statuses[at]
        obstacle = Obstacle(self.progress.revision, earlier, patch, judgement.ancestors[at], status.detail)
        stop = lay_out(self.bench, obstacle, _free_name(self.workplace.folder, Path(patch.name).stem))
        note(self.workplace, self.progress.at(stop))
        _sweep(self.workplace, stop.folder)
        revision, left_out = self.progress.revision, self.progress.left_out
        return Refreshed(revision, judgement.statuses, left_out=left_out, stop=stop)

    def _new_queue(self, contents: Mapping[str, bytes], judgement: Judgement) -> tuple[NewQueue, Mapping[str, Deed]]:
        files: dict[str, bytes] = {}
        deeds = {patch.name: Deed.LEFT_OUT for patch in self.queue.patches}
        before = judgement.base
        for status, after in zip(judgement.statuses, judgement.trees, strict=True):
            name = status.name
            match status.standing:
                case Standing.UPSTREAM:
                    deeds[name] = Deed.DROPPED
                    continue
                case Standing.FUZZY:
                    files[name] = rewritten(self.bench, contents[name], before, after)
                case _ if name in self.progress.fixed:
                    files[name] = contents[name]
            deeds[name] = Deed.FIXED if name in self.progress.fixed else Deed.REWRITTEN if name in files else Deed.KEPT
            self._prove(name, files.get(name, contents[name]), before, after)
            before = after
        removed = [name for name, deed in deeds.items() if deed is Deed.DROPPED]
        return NewQueue(files, self._series(removed), removed), deeds

    def _prove(self, name: str, content: bytes, before: str, after: str) -> None:
        applied = self.bench.apply(before, parse_patch(name, content).diff)
        if applied is None or applied.tree != after or applied.shifts:
            raise SourceError(f"{name} as it would be written does not give what was judged.", "Nothing was written.")

    def _series(self, removed: Sequence[str]) -> bytes:
        """The series without what is dropped; what is left out becomes a comment."""
        series = self.queue.folder / SERIES
        with disk_errors(self.queue.folder):
            old = series.read_bytes().decode("utf-8") if self.queue.patches else ""
        return "".join(self._lines(old, removed)).encode("utf-8")

    def _lines(self, series: str, removed: Sequence[str]) -> Iterator[str]:
        for line in re.findall(r"[^\n]*\n|[^\n]+", series):
            name = named(line.removeprefix("\ufeff"))
            if name in self.progress.left_out:
                yield f"# {name}  # left out on {self.progress.revision}: {self.progress.left_out[name]}\n"
            elif name not in removed:
                yield line


def _free_name(folder: Path, stem: str) -> Path:
    names = (folder / (f"{stem}-{number}" if number > 1 else stem) for number in count(1))
    return next(place for place in names if not place.exists())


def _sweep(workplace: Workplace, keep: Path | None = None) -> None:
    """Remove working trees that nobody needs any more, and what a builder that was ended left."""
    for entry in workplace.folder.iterdir():
        if entry.is_dir() and entry != keep:
            shutil.rmtree(entry, ignore_errors=True)
        elif entry.is_file() and entry not in (workplace.state, workplace.lock):
            entry.unlink()

"""A new patch goes to the end of the queue, if it has a place there."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from builder.errors import SourceError
from builder.source.patches.bench import Bench
from builder.source.patches.incoming import Incoming, read_file, take
from builder.source.patches.judge import judge
from builder.source.patches.patch import Patch, parse_patch
from builder.source.patches.queue import SERIES, PatchQueue, load_queue
from builder.source.patches.refresh import Opener
from builder.source.patches.resume import require_none
from builder.source.patches.rewrite import NewQueue, Workplace
from builder.source.patches.status import FAILED, PatchStatus, Standing
from builder.staging import disk_errors

_HEADING = b"# Laid on upstream in this order. One file a line; what follows a # is for people.\n\n"
_NUMBER = re.compile(r"^(\d{1,5})(?!\d)")
_OWN_NUMBER = re.compile(r"^\d{1,5}[-_. ]+")
_REFERENCE = re.compile(r"\s*\((?:(?:PR|MR) )?[#!]\d+\)$")
_LONGEST = 60
"""Characters of a file name."""


class NotAdded(SourceError):
    """A patch has no place at the end of the queue."""


@dataclass(frozen=True)
class Added:
    """A patch that the queue has now.

    Attributes:
        file: of the queue.
        revision: name of what it was tried on.
    """

    file: Path
    patch: Patch
    status: PatchStatus
    revision: str


def add(folder: Path, place: Path, target: str, opened: Opener, say: Callable[[str], None], *, force: bool) -> Added:
    """Try a patch after the queue and write it to its end.

    Args:
        folder: of the queue; made where it is not there.
        place: the cache's folder for patches.
        target: a patch file, a commit of upstream, or the URL of a pull request or a commit.
        say: told what a person should know while it lasts.
        force: also where it does not apply.

    Raises:
        NotAdded: it does not apply, upstream has it, or the queue has it.
        BadPatch: it is no patch.
        UsageError: a refresh is under way, or the target is malformed.
        SourceError: the queue is not in order, or the target cannot be had.
        MachineError: the disk is full or may not be written to.
    """
    workplace = Workplace.of(folder, place)
    with workplace.held(say):
        require_none(workplace)
        queue = load_queue(folder)
        incoming = read_file(target)
        with opened(None) as (bench, revision):
            incoming = incoming or take(bench, target)
            _refuse_double(bench, queue, incoming.patch)
            name = _file_name(folder, incoming.patch)
            patch = parse_patch(name, incoming.content)
            status = judge(bench, [*queue.patches, patch]).statuses[-1]
            _refuse(incoming, status, revision.title, force=force)
        workplace.put(NewQueue({name: incoming.content}, _series(folder, name)))
        return Added(folder / name, patch, status, revision.title)


def _refuse_double(bench: Bench, queue: PatchQueue, new: Patch) -> None:
    wanted = _identity(bench, new)
    for patch in queue.patches:
        if _identity(bench, patch) == wanted:
            raise NotAdded(f"The queue has that change already, as {patch.name}.", "It is not added.")


def _identity(bench: Bench, patch: Patch) -> object:
    """What two patches have in common that make the same change, wherever in its files."""
    if any(change.binary for change in patch.changes):
        return patch.diff.rstrip()
    said = bench.repository.git.read("patch-id", "--stable", cwd=bench.scratch, stdin=patch.diff).split()
    return said[0] if said else patch.diff.rstrip()


def _refuse(incoming: Incoming, status: PatchStatus, revision: str, *, force: bool) -> None:
    subject = incoming.patch.subject
    if status.standing is Standing.UPSTREAM:
        raise NotAdded(f"{revision} has `{subject}` already ({status.detail}).", "It is not added.")
    if status.standing in FAILED and not force:
        raise NotAdded(
            f"`{subject}` does not apply to {revision} after the queue: {status.standing}, {status.detail}.",
            "With `--force` it is added all the same, and `builder patches refresh` then helps to fix it.",
        )


def _file_name(folder: Path, patch: Patch) -> str:
    """The next number and what the patch is about, in ASCII."""
    with disk_errors(folder):
        names = [entry.name for entry in folder.iterdir()] if folder.is_dir() else []
    numbers = [int(found[1]) for name in names if (found := _NUMBER.match(name))]
    number = f"{max(numbers, default=0) + 1:04}"
    subject = patch.subject
    if subject == patch.name:
        subject = _OWN_NUMBER.sub("", Path(patch.name).stem)
    plain = unicodedata.normalize("NFKD", _REFERENCE.sub("", subject).casefold()).encode("ascii", "ignore").decode()
    words = re.findall(r"[a-z0-9]+", plain)
    slug = _joined(words, _LONGEST - len(f"{number}-.patch")) or "patch"
    return f"{number}-{slug}.patch"


def _joined(words: Sequence[str], room: int) -> str:
    slug = ""
    for word in words:
        longer = f"{slug}-{word}" if slug else word[:room]
        if len(longer) > room:
            break
        slug = longer
    return slug


def _series(folder: Path, name: str) -> bytes:
    series = folder / SERIES
    with disk_errors(folder):
        old = series.read_bytes() if series.is_file() else _HEADING
    return old + (b"" if not old or old.endswith(b"\n") else b"\n") + f"{name}\n".encode()

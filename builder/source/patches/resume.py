"""What a refresh that stopped knows when it goes on: one document, written as a whole."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from builder.errors import UsageError
from builder.source.patches.queue import PatchQueue
from builder.source.patches.rewrite import Workplace
from builder.staging import write_whole


@dataclass(frozen=True)
class Stop:
    """A patch that a person has to fix.

    Attributes:
        name: of the patch.
        why: in what it does not apply.
        folder: the working tree.
        before: name of the tree without the patch.
        start: name of the tree as it was handed over; its files with conflict markers differ in the names that these
            have.
        marked: paths of files with conflict markers.
        unmarked: other paths that a merge could not settle, such as a file that one side removed.
        rejected: files that hold what could not be applied.
    """

    name: str
    why: str
    folder: Path
    before: str
    start: str
    marked: tuple[str, ...] = ()
    unmarked: tuple[str, ...] = ()
    rejected: tuple[str, ...] = ()


@dataclass(frozen=True)
class Progress:
    """How far a refresh has come.

    Attributes:
        digest: of the queue that is refreshed.
        revision: name of the new base.
        commit: the same as an object name; None where it is no commit.
        base: name of its tree.
        fixed: new contents by name, in base 64, of patches that a person fixed.
        left_out: reasons by name of patches that a person left out.
        stop: where it waits.
    """

    digest: str
    revision: str
    commit: str | None
    base: str
    fixed: Mapping[str, str] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)
    stop: Stop | None = None
    schema_version: Literal[1] = 1

    def with_fixed(self, name: str, content: bytes) -> Progress:
        """The same with one more patch fixed."""
        return replace(self, fixed={**self.fixed, name: base64.b64encode(content).decode()})

    def without(self, name: str, why: str) -> Progress:
        """The same with one more patch left out."""
        return replace(self, left_out={**self.left_out, name: why})

    def at(self, stop: Stop) -> Progress:
        """The same, waiting for a patch to be fixed."""
        return replace(self, stop=stop)

    @property
    def changed(self) -> bool:
        """Whether a person changed anything of the queue so far."""
        return bool(self.fixed or self.left_out)

    def content_of(self, name: str) -> bytes | None:
        """What a person made of a patch."""
        return base64.b64decode(self.fixed[name]) if name in self.fixed else None

    def require(self, queue: PatchQueue) -> None:
        """Refuse to go on with another queue than the one it began with.

        Raises:
            UsageError: it changed meanwhile.
        """
        if queue.digest != self.digest:
            raise UsageError(
                f"The queue in {queue.folder} is not the one that is being refreshed: its patches changed meanwhile.",
                "Put them back as they were, or `builder patches refresh --abort` and begin anew.",
            )


def begun(workplace: Workplace) -> Progress | None:
    """How far the refresh of a queue has come; None where none is under way.

    Raises:
        UsageError: the document is not one that this program wrote.
    """
    from pydantic import TypeAdapter, ValidationError

    if not workplace.state.is_file():
        return None
    try:
        return TypeAdapter(Progress).validate_json(workplace.state.read_bytes())
    except ValidationError as error:
        raise UsageError(
            f"{workplace.state} is damaged, or was written by another version.",
            "`builder patches refresh --abort` forgets it; the queue stays as it is.",
        ) from error


def note(workplace: Workplace, progress: Progress) -> None:
    """Write down how far it has come."""
    from pydantic import TypeAdapter

    write_whole(workplace.state, TypeAdapter(Progress).dump_json(progress, indent=2))


def require_none(workplace: Workplace) -> None:
    """Refuse to begin something while a refresh is under way.

    Raises:
        UsageError: one is.
    """
    if workplace.state.is_file():
        progress = begun(workplace)
        stop = progress.stop if progress else None
        raise UsageError(
            f"A refresh of {workplace.queue} is under way"
            + (f": it waits for {stop.name} to be fixed in {stop.folder}." if stop else "."),
            "Go on with `builder patches refresh --continue` or `--skip`, or forget it with `--abort`.",
        )

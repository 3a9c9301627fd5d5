"""A local mirror of a repository that is reached by a URL: made once, then fetched.

It is bare, holds every branch and tag, and from servers that can leave them out, no file contents: those come when
they are first needed. What upstream rewrites is reported and not followed. A mirror that turns out to be broken is
made anew, and the old one goes only once the new one is whole.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from builder.console import Reporter
from builder.errors import SourceError, UsageError
from builder.process import Runner
from builder.staging import disk_errors, exclusive, staged
from builder.upstream.copying import Copy
from builder.upstream.git import Damaged, Git, Unreachable
from builder.upstream.moves import HEADS, TAGS, Move, Moves, Refs
from builder.upstream.origin import GitUrl
from builder.upstream.refs import is_full_commit, newest_tag
from builder.upstream.remote import REMOTE, Listing, folder_name, git_for, list_refs
from builder.upstream.repository import Repository
from builder.upstream.tidings import MOVING, refuse_moved, report, rewritten_names

_REFUSED = re.compile(r": it does not give ")

Result = TypeVar("Result")


@dataclass(frozen=True)
class Mirror:
    """The mirror of one URL.

    Attributes:
        folder: where it is, or will be.
    """

    origin: GitUrl
    folder: Path
    git: Git
    reporter: Reporter

    @classmethod
    def of(cls, origin: GitUrl, mirrors: Path, runner: Runner, reporter: Reporter) -> Mirror:
        """The mirror of a URL among the others; nothing is asked or made yet."""
        return cls(origin, mirrors / folder_name(origin), git_for(origin, runner), reporter)

    @property
    def repository(self) -> Repository:
        """What is mirrored so far."""
        return Repository(self.git, self.folder)

    def refresh(self) -> Repository:
        """The mirror, brought up to date; what upstream rewrote is reported.

        Raises:
            Unreachable: upstream cannot be asked.
            MachineError: the disk is full.
        """
        self.update()
        return self.repository

    def update(self, *, aloud: bool = True) -> Moves:
        """Bring the mirror up to date; what upstream rewrote is returned. Raises the same as `refresh`.

        Args:
            aloud: whether it is also reported.
        """
        moves = self._update()
        report(self._copy(self.git), moves if aloud else Moves(), None, self.reporter)
        return moves

    @property
    def reached(self) -> datetime | None:
        """When upstream was last asked and answered; None is not known."""
        with suppress(OSError):
            return datetime.fromtimestamp(self._reached.stat().st_mtime, UTC)
        return None

    @property
    def _reached(self) -> Path:
        return self.folder.with_suffix(".reached")

    def repository_with(self, ref: str) -> Repository:
        """The mirror, brought up to date as far as this ref needs it.

        A whole object name that is here already needs nothing. Where upstream cannot be asked, a tag or a commit
        that is here is used, with a warning; a branch, `latest` or `tip` may have moved and is not.

        Raises:
            Unreachable: it cannot be asked, and the ref is not here for certain.
            SourceError: upstream rewrote the name, and nobody accepted that.
        """
        if is_full_commit(ref) and self.folder.is_dir() and self.repository.holds(ref):
            return self.repository
        try:
            moves = self._update(stray=ref)
        except Unreachable as error:
            if not self._has(ref):
                raise self._with_hint(error) from error
            self.reporter.warning(f"{error.cause} Using `{ref}` as it was mirrored before.")
            moves = self.moves()
        report(self._copy(self.git), moves, ref, self.reporter)
        refuse_moved(self._copy(self.git), moves, ref)
        return self.repository

    def moves(self) -> Moves:
        """What upstream rewrote, as far as it was fetched; nothing is asked."""
        return self._copy(self.git).moves() if self.folder.is_dir() else Moves()

    def accept(self, names: Sequence[str]) -> tuple[Move, ...]:
        """Follow what upstream rewrote, as far as it was fetched and reported.

        Args:
            names: tags and branches; one that is both counts as both.

        Returns:
            What moved; a withdrawn tag is gone.

        Raises:
            UsageError: upstream did not rewrite a name.
        """
        with self._locked() as git:
            if not self.folder.is_dir():
                raise UsageError(f"{self.origin.name} was not mirrored yet.", "Run `builder upstream` first.")
            copy = self._copy(git)
            moves = copy.moves()
            accepted = {TAGS + m.name: m for m in (*moves.tags, *moves.withdrawn) if m.name in names}
            accepted |= {HEADS + m.name: m for m in moves.branches if m.name in names}
            for name in names:
                if not moves.of_tag(name) and not moves.of_branch(name):
                    raise UsageError(f"Upstream did not rewrite `{name}`.", rewritten_names(moves))
            copy.write(
                gone=[name for name, move in accepted.items() if not move.theirs],
                changed={name: move.theirs for name, move in accepted.items() if move.theirs},
            )
            copy.take_over()
        return tuple(accepted.values())

    def ensure_objects(self, oids: Sequence[str]) -> None:
        """Have objects here, such as file contents that were left out; those that are not are fetched in one request.

        Raises:
            SourceError: upstream does not give them.
        """
        if not oids:
            return
        if not self.folder.is_dir():
            self.refresh()
        if not (missing := self._copy(self.git).missing(oids)):
            return
        with self._locked() as git:
            try:
                self._copy(git).fetch_objects(missing)
            except Unreachable as error:
                if not _REFUSED.search(error.cause):
                    raise
                refusal = f"does not give all of {len(missing)} objects that are needed, such as {missing[0]}"
                raise SourceError(f"{self.origin.name} {refusal}.", "Check the repository.") from error

    def mending(self, action: Callable[[], Result]) -> Result:
        """Do something with the mirror; where that shows that the mirror is broken, make it anew and do it again.

        Raises:
            Damaged: it is broken again at once.
        """
        try:
            return action()
        except Damaged as damage:
            self.renew(damage)
            return action()

    def renew(self, damage: Damaged) -> None:
        """Mirror anew because of damage.

        Raises:
            Unreachable: upstream cannot be asked; the mirror stays as it is.
        """
        with self._locked() as git:
            self._mirror(git, list_refs(self.git, self.origin.name), damage)

    def _copy(self, git: Git, folder: Path | None = None) -> Copy:
        partial = not self.origin.url.startswith("file:")
        return Copy(Repository(git, folder or self.folder), partial)

    @contextmanager
    def _locked(self) -> Iterator[Git]:
        """Hold the mirror; what the git of the block runs holds it too."""
        with exclusive(self.folder.with_suffix(".lock"), self.reporter.notice) as lock:
            self._put_back()
            yield replace(self.git, holding=(lock,))

    def _update(self, stray: str = "") -> Moves:
        """Bring the mirror up to date.

        Args:
            stray: a commit that no branch or tag may hold any more, or not yet; it is fetched too where the server
                lets it go.
        """
        with self._locked() as git:
            moves = self._updated(git, list_refs(self.git, self.origin.name))
            if is_full_commit(stray) and not self.repository.holds(stray):
                with suppress(Unreachable):
                    self._copy(git).fetch(REMOTE, stray)
            with suppress(OSError):
                self._reached.touch()
        return moves

    def _updated(self, git: Git, listing: Listing) -> Moves:
        if not os.path.lexists(self.folder):
            return self._mirror(git, listing)
        try:
            return self._copy(git).update(listing)
        except Damaged as damage:
            return self._mirror(git, listing, damage)

    def _mirror(self, git: Git, listing: Listing, damage: Damaged | None = None) -> Moves:
        again = f"{damage.cause} Mirroring it anew." if damage else ""
        if again:
            self.reporter.warning(again)
        else:
            self.reporter.notice(f"Mirroring {self.origin.name} (once).")
        trusted = self._trusted() if damage else Refs({})
        with staged(self.folder.parent, f"{self.folder.name}-") as scratch:
            copy = self._copy(git, scratch / "mirror")
            moves = copy.create(self.origin.name, listing)
            if damage and (lost := copy.restore(trusted)):
                self.reporter.warning(
                    f"What {', '.join(lost[:3])} named before is lost; taking what upstream says now."
                )
            moves = copy.take_over() if damage else moves
            with disk_errors(self.folder.parent):
                if os.path.lexists(self.folder):
                    self.folder.rename(self._set_aside)
                copy.folder.rename(self.folder)
                if os.path.lexists(self._set_aside):
                    self._set_aside.rename(scratch / "damaged")
        return moves

    @property
    def _set_aside(self) -> Path:
        """Where a broken mirror is while its place is taken; what was trusted stands in it alone."""
        return self.folder.with_suffix(".damaged")

    def _put_back(self) -> None:
        """Bring back what a builder set aside that was killed before it could put a mirror in its place."""
        if not os.path.lexists(self._set_aside):
            return
        with disk_errors(self.folder.parent):
            if os.path.lexists(self.folder):
                with staged(self.folder.parent, f"{self.folder.name}-") as scratch:
                    self._set_aside.rename(scratch / "damaged")
            else:
                self._set_aside.rename(self.folder)

    def _trusted(self) -> Refs:
        """The names of a broken mirror, as far as they can be read."""
        try:
            return self._copy(self.git).refs()
        except Damaged:
            return Refs({})

    def _has(self, ref: str) -> bool:
        if ref in MOVING or not self.folder.is_dir():
            return False
        try:
            heads = self._copy(self.git).whole_refs().below(HEADS)
            return bool(self.repository.find_tag(ref) or (ref not in heads and self.repository.find(ref)))
        except Damaged:
            return False

    def _with_hint(self, error: Unreachable) -> Unreachable:
        if not (names := list(self._trusted().below(TAGS))):
            return error
        return Unreachable(error.cause, f"{error.remedy} Mirrored before: `--ref {newest_tag(names) or names[-1]}`.")

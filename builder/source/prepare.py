"""From what the configuration asks for to a tree on disk."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from builder.console import Reporter
from builder.errors import BuilderError, SourceError, UsageError
from builder.paths import Paths
from builder.process import Runner
from builder.source.store import KeptTree, TreeStore
from builder.source.tree import SourceTree
from builder.upstream.directory import take_directory, work_tree_repository
from builder.upstream.git import LATEST, Git, GitMissing, Repository, Unreachable, require_git, require_ref, take
from builder.upstream.layout import NotATree
from builder.upstream.mirror import Mirror
from builder.upstream.origin import ArchiveFile, Auto, Directory, GitFolder, GitUrl, Origin, Package, parse
from builder.upstream.pypi import Index, configured_index
from builder.upstream.revision import UNKNOWN_BUILD_NUMBERS, Revision
from builder.upstream.sdist import take_archive
from builder.upstream.supply import Supply

_TRIES = 3
"""How many of the newest source distributions are looked at for a whole tree."""
_SLOW = 2.0
_MINUTE = 60.0
_REMEMBERED = 600.0
"""Seconds: who took longer than the first to be out of reach is not asked again within the second."""


def prepare(
    origin: str,
    ref: str | None,
    *,
    repository: str,
    fallback: str,
    build_number: int | None,
    paths: Paths,
    runner: Runner,
    reporter: Reporter,
) -> SourceTree:
    """Have a tree on disk, fetched and written out only as far as it is not there yet.

    Args:
        origin: `auto`, a git URL or path, a directory, an archive file, or `pypi:PROJECT[==VERSION]`.
        ref: tag, branch or commit; None and `latest` take the newest, and a folder or an archive as it is.
        repository: what `auto` asks first.
        fallback: what `auto` takes where the repository is out of reach.
        build_number: what a person knows the build number to be; overrides what the origin says.

    Raises:
        UsageError: the origin, the ref or the number is malformed, or they do not fit together.
        SourceError: the source cannot be had, is damaged, or is no llama.cpp tree.
        MachineError: git is missing, or the disk is full.
    """
    if build_number is not None and (build_number in UNKNOWN_BUILD_NUMBERS or build_number < 0):
        raise UsageError(f"Build number {build_number} means unknown.", "Give the real number, or none.")
    wanted = None if ref == LATEST else ref
    if wanted is not None:
        require_ref(wanted)
    desk = _Desk(paths, runner, reporter)
    supply, kept = desk.serve_auto(repository, fallback, wanted) if origin == "auto" else desk.serve(origin, wanted)
    return SourceTree(kept.path, _completed(supply.revision, kept, build_number), kept.digest)


def _completed(revision: Revision, kept: KeptTree, build_number: int | None) -> Revision:
    return replace(
        revision,
        commit=revision.commit or kept.traces.commit,
        committed=revision.committed or kept.traces.committed,
        release=revision.release or kept.release,
        build_number=revision.build_number if build_number is None else build_number,
    )


class _Desk:
    """Serves origins."""

    def __init__(self, paths: Paths, runner: Runner, reporter: Reporter) -> None:
        self._paths = paths
        self._runner = runner
        self._reporter = reporter
        self._store = TreeStore(paths.trees, reporter.notice)

    def serve_auto(self, repository: str, fallback: str, ref: str | None) -> tuple[Supply, KeptTree]:
        """The repository if it answers, else the fallback, with one line saying why.

        Raises:
            SourceError: neither can be had, or a ref is wanted that only the repository could give.
        """
        try:
            return self._serve_first(_parse_repository(repository), ref)
        except (Unreachable, GitMissing) as error:
            if ref is not None:
                cause = f"{error.cause} Only the repository could give `{ref}`."
                raise SourceError(cause, "Mend the network, or leave the ref out to take the fallback.") from error
            self._reporter.notice(f"Taking llama.cpp from {fallback}: {error.cause}")
        if isinstance(parse(fallback), Auto):
            raise UsageError("The fallback of `auto` cannot be `auto`.", "Set upstream.fallback to another origin.")
        return self.serve(fallback, None)

    def serve(self, text: str, ref: str | None) -> tuple[Supply, KeptTree]:
        """What one origin gives for a ref."""
        refusals: list[BuilderError] = []
        for supply in self._supplies(parse(text), ref):
            try:
                return supply, self._store.keep(supply)
            except NotATree as error:
                refusals.append(error)
                if len(refusals) == _TRIES:
                    break
        raise refusals[0]

    def _serve_first(self, asked: Origin, ref: str | None) -> tuple[Supply, KeptTree]:
        require_git()
        if not isinstance(asked, GitUrl):
            supply = next(self._supplies(asked, ref))
            return supply, self._store.keep(supply)
        mirror = Mirror.of(asked, self._paths.mirrors, self._runner, self._reporter)
        mark = mirror.folder.with_suffix(".unreachable")
        now = time.time()
        if ref is None and mark.exists() and (age := now - mark.stat().st_mtime) < _REMEMBERED:
            raise _remembered(mark, age)
        try:
            supply = self._from_git(asked, ref)
            kept = self._store.keep(supply)
        except Unreachable as error:
            if time.time() - now > _SLOW:
                mark.write_text(error.cause, encoding="utf-8")
            raise
        mark.unlink(missing_ok=True)
        return supply, kept

    def _supplies(self, origin: Origin, ref: str | None) -> Iterator[Supply]:
        match origin:
            case GitUrl():
                yield self._from_git(origin, ref)
            case GitFolder(path):
                require_git()
                yield take(Repository(Git(self._runner, str(path)), path), ref or LATEST, str(path))
            case Directory(path):
                yield self._from_directory(origin, ref)
            case ArchiveFile(path):
                _refuse_ref(ref, str(path))
                yield take_archive(path, self._runner)
            case Package():
                _refuse_ref(ref, f"pypi:{origin.project}", f"Pin a version instead: pypi:{origin.project}==VERSION.")
                yield from Index(configured_index(), self._paths.archives, self._runner, self._reporter).take(origin)
            case Auto():
                raise UsageError("`auto` cannot stand for itself.", "Name an origin.")

    def _from_git(self, origin: GitUrl, ref: str | None) -> Supply:
        require_git()
        mirror = Mirror.of(origin, self._paths.mirrors, self._runner, self._reporter)
        return take(mirror.repository_with(ref or LATEST), ref or LATEST, origin.name)

    def _from_directory(self, origin: Directory, ref: str | None) -> Supply:
        if ref is None:
            return take_directory(origin.path, self._runner, self._reporter)
        repository = work_tree_repository(origin.path, self._runner)
        if repository is None:
            raise _no_refs(str(origin.path))
        return take(repository, ref, str(origin.path))


def _parse_repository(text: str) -> Origin:
    try:
        return parse(text)
    except SourceError as error:
        raise Unreachable(error.cause, error.remedy) from error


def _remembered(mark: Path, age: float) -> Unreachable:
    """What was found out `age` seconds ago, saying so."""
    cause = mark.read_text(encoding="utf-8", errors="replace").removesuffix(".")
    ago = f"{age / 60:.0f} min" if age >= _MINUTE else "less than a minute"
    return Unreachable(f"{cause} (asked {ago} ago).", f"Check the network, or remove {mark} to ask again at once.")


def _refuse_ref(ref: str | None, name: str, remedy: str = "Leave the ref out.") -> None:
    if ref is not None:
        raise _no_refs(name, remedy)


def _no_refs(name: str, remedy: str = "Leave the ref out.") -> UsageError:
    return UsageError(f"{name} is no git repository, so it has no refs to choose from.", remedy)

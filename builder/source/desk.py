"""From what is asked for to one content of an origin, and what is done with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

from builder.console import Reporter
from builder.errors import BuilderError, SourceError, UsageError
from builder.paths import Paths
from builder.process import Runner
from builder.upstream.absence import Absence
from builder.upstream.choice import Choice, Chooser
from builder.upstream.directory import take_directory, work_tree_repository
from builder.upstream.git import Damaged, Git, GitMissing, Unreachable, require_git
from builder.upstream.layout import NotATree
from builder.upstream.mirror import Mirror
from builder.upstream.moves import Moves
from builder.upstream.origin import ArchiveFile, Auto, Directory, GitFolder, GitUrl, Origin, Package, parse
from builder.upstream.pypi import Index, configured_index
from builder.upstream.refs import LATEST, require_ref
from builder.upstream.repository import CommitSupply, Repository
from builder.upstream.sdist import take_archive
from builder.upstream.selection import Policy
from builder.upstream.supply import Supply

T = TypeVar("T")
_Unmirrored = GitFolder | Directory | ArchiveFile | Package | Auto
_TRIES = 3
"""How many of the newest source distributions are looked at for a whole tree."""


@dataclass(frozen=True)
class Request:
    """Which source is wanted.

    Attributes:
        origin: `auto`, a git URL or path, a directory, an archive file, or `pypi:PROJECT[==VERSION]`.
        ref: tag, branch, commit or `tip`; None and `latest` take what the policy gives, and a folder or an archive as
            it is.
        repository: what `auto` asks first.
        fallback: what `auto` takes where the repository is out of reach.
        policy: which commit of a git repository is taken.
    """

    origin: str
    ref: str | None = None
    repository: str = ""
    fallback: str = ""
    policy: Policy = field(default_factory=Policy)

    def check(self) -> None:
        """Refuse what is malformed, before anything is made or asked.

        Raises:
            UsageError: the ref or the origin can be none.
            SourceError: the origin is a path, and nothing is there.
        """
        if self.ref is not None:
            require_ref(self.ref)
        parse(self.origin)


class Desk(Generic[T]):
    """Serves one request.

    Args:
        use: what is done with a supply; may find that it is no llama.cpp tree.
    """

    def __init__(
        self, request: Request, use: Callable[[Supply], T], paths: Paths, runner: Runner, reporter: Reporter
    ) -> None:
        self._paths = paths
        self._runner = runner
        self._reporter = reporter
        self._request = request
        self._use = use
        self._mirror: Mirror | None = None

    def serve(self) -> tuple[Supply, T]:
        """What the origin gives, and what came of its use."""
        request = self._request
        ref = None if request.ref == LATEST else request.ref
        if request.origin == "auto":
            return self._serve_auto(request.repository, request.fallback, ref)
        return self._serve(request.origin, ref)

    def renew(self, damage: Damaged) -> None:
        """Mirror anew what was served, where it turns out to be broken while its use goes on."""
        if self._mirror:
            self._mirror.renew(damage)

    def _serve_auto(self, repository: str, fallback: str, ref: str | None) -> tuple[Supply, T]:
        """The repository if it answers, else the fallback, with one line saying why.

        Raises:
            SourceError: neither can be had, or a ref is wanted that only the repository could give.
        """
        try:
            asked = _parse_repository(repository)
            require_git()
            mirror = self._reach_if_present(asked, ref) if isinstance(asked, GitUrl) else None
        except (Unreachable, GitMissing) as error:
            if ref is not None:
                cause = f"{error.cause} Only the repository could give `{ref}`."
                raise SourceError(cause, "Mend the network, or leave the ref out to take the fallback.") from error
            self._reporter.notice(f"Taking llama.cpp from {fallback}: {error.cause}")
        else:
            return self._serve_mirrored(mirror, ref) if mirror else self._serve_any(asked, ref)
        if isinstance(parse(fallback), Auto):
            raise UsageError("The fallback of `auto` cannot be `auto`.", "Set upstream.fallback to another origin.")
        return self._serve(fallback, None)

    def _serve(self, text: str, ref: str | None) -> tuple[Supply, T]:
        """What one origin gives for a ref."""
        return self._serve_any(parse(text), ref)

    def _serve_any(self, asked: Origin, ref: str | None) -> tuple[Supply, T]:
        if isinstance(asked, GitUrl):
            return self._serve_mirrored(self._reach(asked, ref), ref)
        refusals: list[BuilderError] = []
        for supply in self._supplies(asked, ref):
            try:
                return supply, self._use(supply)
            except NotATree as error:
                refusals.append(error)
                if len(refusals) == _TRIES:
                    break
        raise refusals[0]

    def _reach_if_present(self, asked: GitUrl, ref: str | None) -> Mirror:
        """The mirror as `_reach` gives it; a server that was waited for in vain a moment ago is not asked again.

        Raises:
            Unreachable: upstream cannot be asked.
        """
        absence = Absence.of(self._mirror_of(asked).folder)
        if ref is None:
            absence.check()
        with absence.noting():
            return self._reach(asked, ref)

    def _reach(self, asked: GitUrl, ref: str | None) -> Mirror:
        """The mirror of a URL, brought up to date as far as the ref needs it.

        Raises:
            Unreachable: upstream cannot be asked, and the ref is not here for certain.
        """
        require_git()
        mirror = self._mirror = self._mirror_of(asked)
        mirror.mending(lambda: mirror.repository_with(ref or LATEST))
        return mirror

    def _mirror_of(self, asked: GitUrl) -> Mirror:
        return Mirror.of(asked, self._paths.mirrors, self._runner, self._reporter)

    def _serve_mirrored(self, mirror: Mirror, ref: str | None) -> tuple[Supply, T]:
        """What a mirror gives; one that turns out to be broken, however late, is made anew."""
        try:
            return self._served(mirror, ref)
        except Damaged as damage:
            mirror.renew(damage)
            mirror.repository_with(ref or LATEST)
            return self._served(mirror, ref)

    def _served(self, mirror: Mirror, ref: str | None) -> tuple[Supply, T]:
        chosen = self._chosen(mirror.repository, ref or LATEST, mirror.origin.name, mirror.moves())
        supply = replace(chosen, ensure=mirror.ensure_objects)
        return supply, self._use(supply)

    def _supplies(self, origin: _Unmirrored, ref: str | None) -> Iterator[Supply]:
        match origin:
            case GitFolder(path):
                require_git()
                yield self._chosen(Repository(Git(self._runner, str(path)), path), ref or LATEST, str(path))
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

    def _from_directory(self, origin: Directory, ref: str | None) -> Supply:
        if ref is None:
            return take_directory(origin.path, self._runner, self._reporter)
        repository = work_tree_repository(origin.path, self._runner)
        if repository is None:
            raise _no_refs(str(origin.path))
        return self._chosen(repository, ref, str(origin.path))

    def _chosen(self, repository: Repository, ref: str, origin: str, moves: Moves | None = None) -> CommitSupply:
        """The commit that a ref stands for by the policy, with all that is known of it."""
        choice = Chooser.of(repository, self._request.policy, moves).choose(ref)
        for warning in choice.warnings:
            self._reporter.warning(warning)
        if choice.passed_over:
            self._reporter.notice(_spell(choice))
        commit = choice.build.commit
        return CommitSupply(repository, repository.revision(commit, origin=origin, ref=choice.ref), commit)


def _spell(choice: Choice) -> str:
    """What is taken although it is not simply the newest."""
    newest, count = choice.passed_over[0], len(choice.passed_over)
    others = f" and {count - 1} more" if count > 1 else ""
    return f"Taking {choice.build.name}. {choice.reason} Passed over: {newest.build.name} ({newest.detail}){others}."


def _parse_repository(text: str) -> Origin:
    try:
        return parse(text)
    except SourceError as error:
        raise Unreachable(error.cause, error.remedy) from error


def _refuse_ref(ref: str | None, name: str, remedy: str = "Leave the ref out.") -> None:
    if ref is not None:
        raise _no_refs(name, remedy)


def _no_refs(name: str, remedy: str = "Leave the ref out.") -> UsageError:
    return UsageError(f"{name} is no git repository, so it has no refs to choose from.", remedy)

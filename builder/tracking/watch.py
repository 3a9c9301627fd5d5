"""Upstream as it is configured, if it is something that can be tracked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

from builder.console import Reporter, spell_age
from builder.engine.client import Engine
from builder.errors import UsageError
from builder.paths import Paths
from builder.process import Runner, without_credentials
from builder.settings import Settings
from builder.upstream.git import Git, Unreachable, require_git
from builder.upstream.mirror import Mirror
from builder.upstream.moves import Move, Moves
from builder.upstream.origin import ArchiveFile, Auto, Directory, GitFolder, GitUrl, Origin, Package, parse
from builder.upstream.repository import Repository

Result = TypeVar("Result")


@dataclass(frozen=True)
class Tools:
    """What tracking works with.

    Attributes:
        run_id: what containers of this run are labelled with.
    """

    engine: Engine
    runner: Runner
    reporter: Reporter
    paths: Paths
    run_id: str


@dataclass(frozen=True)
class Stale:
    """A mirror that could not be brought up to date.

    Attributes:
        cause: why; sentences.
        reached: when upstream last answered; None is not known.
    """

    cause: str
    reached: datetime | None


@dataclass(frozen=True)
class Watch:
    """Upstream as it is configured: a mirror, or a repository that is read where it lies.

    Attributes:
        mirror: None for a repository on this machine.
    """

    origin: str
    repository: Repository
    mirror: Mirror | None

    @classmethod
    def of(cls, settings: Settings, tools: Tools) -> Watch:
        """Find upstream; nothing is asked yet.

        Raises:
            UsageError: the configured origin is no git repository.
            SourceError: it is a path, and nothing is there.
            GitMissing: git is not installed.
        """
        require_git()
        asked = parse(settings.upstream.origin)
        asked = parse(settings.upstream.repository) if isinstance(asked, Auto) else asked
        match asked:
            case GitUrl():
                mirror = Mirror.of(asked, tools.paths.mirrors, tools.runner, tools.reporter)
                return cls(asked.name, mirror.repository, mirror)
            case GitFolder(path):
                return cls(str(path), Repository(Git(tools.runner, str(path)), path), None)
        raise _untracked(asked, settings.upstream.origin)

    def refresh(self, *, aloud: bool = True) -> Moves | None:
        """Bring the mirror up to date.

        Args:
            aloud: whether what upstream rewrote is also reported.

        Returns:
            What upstream rewrote; None for a repository that is read where it lies.

        Raises:
            Unreachable: upstream cannot be asked.
        """
        if self.mirror is None:
            return None
        try:
            return self.mirror.update(aloud=aloud)
        except Unreachable as error:
            raise self._dated(error) from error

    def recall(self, error: Unreachable) -> tuple[Moves, Stale]:
        """What is mirrored, where upstream cannot be asked.

        Raises:
            Unreachable: nothing is.
        """
        if self.mirror is None or not self.mirror.folder.is_dir():
            raise error
        return self.mirror.moves(), Stale(error.cause, self._reached())

    def _dated(self, error: Unreachable) -> Unreachable:
        if not (reached := self._reached()):
            return error
        return Unreachable(
            f"{error.cause} It was last reached {spell_age(datetime.now(UTC) - reached)} ago.",
            f"{error.remedy} `builder upstream list` and `builder upstream log` work from the mirror meanwhile.",
        )

    def _reached(self) -> datetime | None:
        return self.mirror.reached if self.mirror and self.mirror.folder.is_dir() else None

    def mending(self, action: Callable[[], Result]) -> Result:
        """Do something with the repository; a mirror that turns out to be broken is made anew."""
        return self.mirror.mending(action) if self.mirror else action()

    def accept(self, names: Sequence[str]) -> tuple[Move, ...]:
        """Follow what upstream rewrote.

        Raises:
            UsageError: upstream did not rewrite one of the names, or nothing is mirrored.
        """
        if self.mirror is None:
            raise UsageError(
                f"{self.origin} is read where it lies, so nothing in it waits to be accepted.",
                "Set upstream.origin to a URL to have a mirror of it that moves only when you say so.",
            )
        return self.mirror.accept(names)


def _untracked(origin: Origin, text: str) -> UsageError:
    what = {
        Directory: "a folder, which is taken as it lies",
        ArchiveFile: "an archive, which holds one tree",
        Package: "a package, of which the index tells versions and no commits",
    }
    kind = next((told for known, told in what.items() if isinstance(origin, known)), "no git repository")
    return UsageError(
        f"{without_credentials(text)} is {kind}: it has no builds to choose from.",
        "Give `--origin` a git URL (file:///path does for a folder with a repository), or set upstream.origin.",
    )

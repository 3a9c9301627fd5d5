"""Upstream brought up to date, and the adopted image beside it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING

from builder.errors import SourceError
from builder.holds import Hold
from builder.settings import Settings
from builder.tracking.watch import Stale, Tools, Watch
from builder.upstream.builds import Build, release_of
from builder.upstream.choice import Chooser, facts
from builder.upstream.git import Unreachable
from builder.upstream.moves import Moves
from builder.upstream.refs import is_full_commit
from builder.upstream.repository import Repository
from builder.upstream.selection import Policy

if TYPE_CHECKING:
    from builder.image.adopted import Adopted, Seen


@dataclass(frozen=True)
class Scene:
    """Upstream's repository, brought up to date, and the adopted image beside it.

    Attributes:
        origin: where upstream is, for people.
        ref: what the configuration asks for.
        adopted: nothing is known of it where it was not looked at.
        here: the adopted commit in upstream's history; None where it is not there or not known.
        stale: why the mirror is not up to date; None where it is.
    """

    origin: str
    ref: str
    chooser: Chooser
    adopted: Adopted
    here: Build | None
    stale: Stale | None = None

    @cached_property
    def hold(self) -> Hold | None:
        """What holds the adopted build."""
        if self.here:
            return self.chooser.rules.hold_on(self.here)
        adopted = self.adopted
        numbers = () if adopted.number is None else (adopted.number,)
        releases = () if adopted.release is None or release_of(f"v{adopted.release}") is None else (adopted.release,)
        holds = self.chooser.rules.holds
        return next((hold for hold in holds if hold.covers(adopted.commit or "", numbers, releases)), None)

    @cached_property
    def idle_holds(self) -> tuple[Hold, ...]:
        """Holds that nothing is known for."""
        return tuple(hold for hold in self.chooser.idle_holds if hold != self.hold)


@dataclass(frozen=True)
class Scope:
    """What is looked at, and how.

    Attributes:
        adopted: whether the adopted image is looked at.
        aloud: whether what upstream rewrote is reported on standard error.
        offline: whether the mirror does where upstream cannot be asked.
    """

    adopted: bool = True
    aloud: bool = False
    offline: bool = False


def behold(
    watch: Watch,
    settings: Settings,
    tools: Tools,
    scope: Scope | None = None,
    *,
    refreshed: Callable[[], Moves | None] | None = None,
) -> Scene:
    """Bring the mirror up to date and look at the adopted image meanwhile.

    Args:
        refreshed: gives what a refresh found that has begun already; None begins one.

    Raises:
        Unreachable: upstream cannot be asked.
        SourceError: the configured branch does not exist.
    """
    policy, scope = Policy.of(settings), scope or Scope()
    with ThreadPoolExecutor(1) as aside:
        seen = aside.submit(_look, settings, tools) if scope.adopted else None
        moves, stale = _refreshed(watch, tools, scope, refreshed or partial(watch.refresh, aloud=scope.aloud))
        chooser = Chooser.of(watch.repository, policy, moves)
        watch.mending(lambda: chooser.builds)
    adopted = _identify(seen.result() if seen else None, settings.image.repository, tools)
    here = watch.mending(lambda: _locate(adopted, chooser))
    return Scene(watch.origin, settings.upstream.ref, chooser, adopted, here, stale)


def _refreshed(
    watch: Watch, tools: Tools, scope: Scope, refresh: Callable[[], Moves | None]
) -> tuple[Moves | None, Stale | None]:
    try:
        return refresh(), None
    except Unreachable as error:
        if not scope.offline:
            raise
        moves, stale = watch.recall(error)
        tools.reporter.warning(f"{stale.cause} This is what was mirrored then.")
        return moves, stale


def _look(settings: Settings, tools: Tools) -> Seen:
    """Ask the engine; what that takes to import is imported while git waits for its server."""
    from builder.image.adopted import look
    from builder.plan.plan import Variant

    return look(tools.engine, tuple(dict.fromkeys(settings.adopted(variant) for variant in Variant)))


def _identify(seen: Seen | None, repository: str, tools: Tools) -> Adopted:
    from builder.image.adopted import Adopted, identify

    if seen is None:
        return Adopted(repository)
    return identify(seen, tools.engine, tools.runner, tools.paths, tools.run_id)


def _locate(adopted: Adopted, chooser: Chooser) -> Build | None:
    """The adopted commit in a repository."""
    if adopted.commit is None:
        return None
    if tagged := [build for build in chooser.tagged if build.commit.startswith(adopted.commit)]:
        return tagged[0] if len(tagged) == 1 else None
    repository = chooser.repository
    if is_full_commit(adopted.commit):
        commit = adopted.commit if repository.holds(adopted.commit) else None
    else:
        commit = _abbreviated(adopted.commit, repository)
    return facts(repository, commit) if commit else None


def _abbreviated(commit: str, repository: Repository) -> str | None:
    with suppress(SourceError):
        return repository.commit_of(commit)
    return None

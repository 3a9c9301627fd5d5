"""How what is adopted stands to what upstream has and to what would be taken."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import Enum

from builder.errors import SourceError
from builder.tracking.scene import Scene
from builder.upstream.builds import Build
from builder.upstream.choice import Choice
from builder.upstream.history import relation
from builder.upstream.rewritten import Rewritten
from builder.upstream.selection import NothingToTake, PassedOver


class Standing(Enum):
    """How what would be taken stands to what is adopted."""

    FIRST = "first"
    NEWER = "newer"
    SAME = "same"
    OLDER = "older"
    NOTHING = "nothing"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Distance:
    """How far one build is ahead of another; what is negative is behind.

    Attributes:
        commits: difference of their numbers, which count commits, else a count; None where neither is known.
        builds: how many builds of the channel are newer than the first; None where its place is not known or ahead.
        time: between their commits; None where one of them is not known.
    """

    commits: int | None = None
    builds: int | None = None
    time: timedelta | None = None


@dataclass(frozen=True)
class Survey:
    """The state of things.

    Attributes:
        newest: the newest of the channel, whatever the rules say; None where it has none.
        apart: from what is adopted to the newest.
        choice: what would be taken; None where nothing is left.
        refusal: why nothing is left.
        passed_over: newer builds that the rules do not take, newest first.
    """

    newest: Build | None
    apart: Distance
    choice: Choice | None
    refusal: SourceError | None
    passed_over: tuple[PassedOver, ...]
    standing: Standing


@dataclass(frozen=True)
class Listed:
    """One of the newest builds.

    Attributes:
        hindrance: why it is not taken; None if nothing is against it.
    """

    build: Build
    hindrance: PassedOver | None
    adopted: bool
    taken: bool


def survey(scene: Scene) -> Survey:
    """What is adopted, what upstream has, how far apart they are, and what would be taken.

    Raises:
        UsageError: the configured pin is older than the minimum.
        SourceError: there is no such pin.
    """
    newest = next(iter(scene.chooser.builds), None)
    choice, refusal = _choice(scene)
    passed_over = choice.passed_over if choice else _found(refusal)
    standing = Standing.UNKNOWN if isinstance(refusal, Rewritten) else _standing(scene, choice)
    return Survey(newest, _apart(scene, newest), choice, refusal, passed_over, standing)


def newest_builds(scene: Scene, count: int) -> tuple[Listed, ...]:
    """The newest builds of the channel, whatever the rules say of them."""
    choice, _ = _choice(scene)
    return tuple(
        Listed(
            build,
            scene.chooser.judge.hindrance(build),
            adopted=scene.here is not None and build.commit == scene.here.commit,
            taken=choice is not None and build.commit == choice.build.commit,
        )
        for build in scene.chooser.builds[:count]
    )


def _choice(scene: Scene) -> tuple[Choice | None, NothingToTake | Rewritten | None]:
    try:
        return scene.chooser.choose(scene.ref), None
    except (NothingToTake, Rewritten) as refusal:
        return None, refusal


def _found(refusal: SourceError | None) -> tuple[PassedOver, ...]:
    return refusal.passed_over if isinstance(refusal, NothingToTake) else ()


def _apart(scene: Scene, newest: Build | None) -> Distance:
    here, number = scene.here, _number(scene)
    if newest is None:
        return Distance()
    commits = None
    if number is not None and newest.number is not None and newest.on_line:
        commits = newest.number - number
    elif here is not None:
        between = relation(scene.chooser.repository, here.commit, newest.commit)
        commits = between.added - between.lost
    builds = _newer_builds(scene, number) if commits is None or commits >= 0 else None
    return Distance(commits, builds, newest.committed - here.committed if here else None)


def _number(scene: Scene) -> int | None:
    """The number of what is adopted, where no other commit has the same."""
    if scene.here is not None and not scene.here.on_line and not scene.here.tagged_numbers:
        return None
    return scene.adopted.number


def _newer_builds(scene: Scene, number: int | None) -> int | None:
    builds = scene.chooser.builds
    if scene.here is not None:
        for place, build in enumerate(builds):
            if build.commit == scene.here.commit:
                return place
    if number is None or scene.chooser.policy.channel != "nightly":
        return None
    return sum(max(build.tagged_numbers) > number for build in builds)


def _standing(scene: Scene, choice: Choice | None) -> Standing:
    adopted = scene.adopted
    if choice is None:
        return Standing.NOTHING
    if adopted.absent:
        return Standing.FIRST
    if scene.here and scene.here.commit == choice.build.commit:
        return Standing.SAME
    number, taken = _number(scene), choice.build.number if choice.build.on_line else None
    if number is not None and taken is not None and number != taken:
        return Standing.NEWER if taken > number else Standing.OLDER
    return _by_history(scene, choice.build)


def _by_history(scene: Scene, taken: Build) -> Standing:
    """Where numbers do not tell: a commit that stands on another is the newer one."""
    if scene.here is None:
        same = scene.adopted.commit is None and scene.adopted.number == taken.number is not None
        return Standing.SAME if same else Standing.UNKNOWN
    between = relation(scene.chooser.repository, scene.here.commit, taken.commit)
    if not between.lost:
        return Standing.NEWER
    return Standing.UNKNOWN if between.added else Standing.OLDER

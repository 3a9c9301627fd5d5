"""Which build is taken, by rules that a person set: a channel, an age, what is held, a minimum."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum

from builder.console import spell_age
from builder.errors import SourceError
from builder.holds import Hold
from builder.settings import Channel, Settings
from builder.upstream.builds import Build, number_of, release_of
from builder.upstream.minimum import Minimum

_NOUNS: Mapping[Channel, str] = {"nightly": "nightly build", "releases": "release", "branch": "commit"}
_TAGS: Mapping[Channel, str] = {"nightly": "bNNNN", "releases": "vX.Y.Z"}


@dataclass(frozen=True)
class Policy:
    """The rules.

    Attributes:
        channel: nightly builds, releases, or each commit of a branch.
        branch: of the channel `branch` and of the tip; empty is upstream's default.
        cooldown: how old a build must be.
        cooldown_text: the same as a person wrote it.
        holds: what is not taken.
        minimum: nothing older is taken; None takes any.
    """

    channel: Channel = "nightly"
    branch: str = ""
    cooldown: timedelta = timedelta()
    cooldown_text: str = "0"
    holds: tuple[Hold, ...] = ()
    minimum: Minimum | None = None

    @classmethod
    def of(cls, settings: Settings) -> Policy:
        """The rules that the configuration sets.

        Raises:
            UsageError: the minimum is neither a number nor a release.
        """
        upstream = settings.upstream
        return cls(
            upstream.channel,
            upstream.branch,
            upstream.cooldown_time,
            upstream.cooldown,
            tuple(Hold.of(held.ref, held.reason) for held in upstream.hold),
            Minimum.parse(settings.version.minimum),
        )

    def hold_on(self, build: Build) -> Hold | None:
        """What holds a build, by any of its names; None if nothing does."""
        return next((hold for hold in self.holds if hold.covers(build.commit, build.numbers, build.releases)), None)


class Hindrance(Enum):
    """Why a build is not taken."""

    HELD = "held"
    MOVED = "moved"
    WITHDRAWN = "withdrawn"
    ASTRAY = "astray"
    YOUNG = "young"
    OLD = "old"


@dataclass(frozen=True)
class Doubt:
    """What is wrong with a tag.

    Attributes:
        detail: for people; no sentence.
        accept: the name that a person may accept to end it; empty if there is none.
    """

    hindrance: Hindrance
    detail: str
    accept: str = ""

    def about(self, build: Build) -> PassedOver:
        """Why a build with such a tag is not taken."""
        return PassedOver(build, self.hindrance, self.detail, accept=self.accept)


def _sound(_build: Build) -> None:
    """Nothing is wrong with any build."""


@dataclass(frozen=True)
class Doubts:
    """What is wrong with what upstream offers.

    Attributes:
        tags: what is wrong with tags, by name.
        of_build: asked of builds that nothing else is against, for the answer may take a moment.
    """

    tags: Mapping[str, Doubt] = field(default_factory=dict)
    of_build: Callable[[Build], Doubt | None] = _sound


@dataclass(frozen=True)
class PassedOver:
    """A build that was not taken.

    Attributes:
        detail: why, for people; no sentence, so that it fits into a table.
        settles: when it will be old enough, where that is all that is missing.
        accept: the name that a person may accept, where that is what is missing; else empty.
    """

    build: Build
    hindrance: Hindrance
    detail: str
    settles: datetime | None = None
    accept: str = ""


@dataclass(frozen=True)
class Selection:
    """What is taken.

    Attributes:
        reason: one sentence.
        passed_over: the newer builds, newest first.
    """

    build: Build
    reason: str
    passed_over: tuple[PassedOver, ...]


class NothingToTake(SourceError):
    """No build is left by the rules.

    Attributes:
        passed_over: every build of the channel, newest first.
    """

    def __init__(self, cause: str, remedy: str, passed_over: tuple[PassedOver, ...] = ()) -> None:
        super().__init__(cause, remedy)
        self.passed_over = passed_over


@dataclass(frozen=True)
class Judge:
    """Says of single builds what hinders them.

    Attributes:
        now: what ages are counted from.
        floor: the build number below which builds are too old; None where it is not known.
    """

    policy: Policy
    now: datetime
    doubts: Doubts = field(default_factory=Doubts)
    floor: int | None = None

    @classmethod
    def of(cls, known: Sequence[Build], policy: Policy, now: datetime, doubts: Doubts | None = None) -> Judge:
        """The judge by these rules.

        Args:
            known: builds that tell which number a release is, for a minimum that is one.
        """
        return cls(policy, now, doubts or Doubts(), _floor(known, policy.minimum))

    def hindrance(self, build: Build) -> PassedOver | None:
        """Why a build is not taken; None if nothing is against it."""
        if hold := self.policy.hold_on(build):
            return PassedOver(build, Hindrance.HELD, f"held ({hold.ref}): {hold.reason}")
        if doubt := self._doubt_of_tag(build):
            return doubt.about(build)
        if self.is_old(build):
            return PassedOver(build, Hindrance.OLD, f"older than the minimum {self.policy.minimum}")
        if young := self._young(build):
            return young
        doubt = self.doubts.of_build(build)
        return doubt.about(build) if doubt else None

    def _doubt_of_tag(self, build: Build) -> Doubt | None:
        if self.policy.channel == "branch":
            return None
        carried = number_of if self.policy.channel == "nightly" else release_of
        doubts = self.doubts.tags
        return next((doubts[tag] for tag in build.tags if carried(tag) is not None and tag in doubts), None)

    def is_old(self, build: Build) -> bool:
        """Whether what is known of a build says that it is older than the minimum."""
        minimum = self.policy.minimum
        if minimum is not None and minimum.release is not None and build.releases:
            from packaging.version import Version

            return all(Version(release) < minimum.release for release in build.releases)
        return self.floor is not None and build.number is not None and build.number < self.floor

    def _young(self, build: Build) -> PassedOver | None:
        age = self.now - build.committed
        settles = build.committed + self.policy.cooldown
        if age < timedelta():
            detail = f"too young: its time is {spell_age(age)} ahead of this machine's clock"
        elif age < self.policy.cooldown:
            detail = f"too young: {spell_age(age)} old; old enough in {spell_age(settles - self.now, up=True)}"
        else:
            return None
        return PassedOver(build, Hindrance.YOUNG, detail, settles)


def ranked(builds: Sequence[Build], channel: Channel) -> tuple[Build, ...]:
    """The builds of a channel, newest first.

    Args:
        builds: for the channel `branch`, its commits in that order already.
    """
    if channel == "branch":
        return tuple(builds)
    if channel == "nightly":
        numbered = [(max(numbers), build) for build in builds if (numbers := build.tagged_numbers)]
        return tuple(build for _, build in sorted(numbered, key=lambda pair: pair[0], reverse=True))
    from packaging.version import Version

    released = [(Version(build.release), build) for build in builds if build.release is not None]
    return tuple(build for _, build in sorted(released, key=lambda pair: pair[0], reverse=True))


def select(
    builds: Sequence[Build],
    policy: Policy,
    now: datetime,
    doubts: Doubts | None = None,
    known: Sequence[Build] | None = None,
) -> Selection:
    """The newest build of the channel that nothing is against.

    Args:
        builds: what upstream has; for the channel `branch`, its commits, newest first.
        now: what ages are counted from.
        known: builds of any channel, of which some may be releases; None takes those to choose from.

    Raises:
        NothingToTake: there is none.
    """
    known = builds if known is None else known
    judge = Judge.of(known, policy, now, doubts)
    passed_over: list[PassedOver] = []
    for build in ranked(builds, policy.channel):
        hindrance = judge.hindrance(build)
        if hindrance is None:
            return Selection(build, _reason(policy, passed_over), tuple(passed_over))
        passed_over.append(hindrance)
    raise _nothing(policy, passed_over, known)


def _floor(builds: Sequence[Build], minimum: Minimum | None) -> int | None:
    if minimum is None or minimum.release is None:
        return minimum.build if minimum else None
    from packaging.version import Version

    wanted = minimum.release
    enough = (
        build.number
        for build in builds
        if build.number is not None and any(Version(release) >= wanted for release in build.releases)
    )
    return min(enough, default=None)


def _reason(policy: Policy, passed_over: Sequence[PassedOver]) -> str:
    noun = _NOUNS[policy.channel]
    found = {one.hindrance for one in passed_over}
    conditions = (
        *([f"older than {policy.cooldown_text}"] if policy.cooldown and Hindrance.YOUNG in found else []),
        *(["not dated in the future"] if not policy.cooldown and Hindrance.YOUNG in found else []),
        *(["not held"] if Hindrance.HELD in found else []),
        *(["not moved by upstream"] if Hindrance.MOVED in found else []),
        *(["not withdrawn by upstream"] if Hindrance.WITHDRAWN in found else []),
        *(["on the default branch"] if Hindrance.ASTRAY in found else []),
    )
    if not conditions:
        return f"It is the newest {noun}."
    return f"It is the newest {noun} that is {' and '.join((*conditions,))}."


def _nothing(policy: Policy, passed_over: Sequence[PassedOver], builds: Sequence[Build]) -> NothingToTake:
    noun = _NOUNS[policy.channel]
    if not passed_over:
        cause = f"Upstream has no {noun}" + (f" ({_TAGS[policy.channel]} tag)" if policy.channel in _TAGS else "")
        other = next((channel for channel in _TAGS if ranked(builds, channel)), "branch")
        return NothingToTake(f"{cause}.", f"Take another channel, such as `--channel {other}`.")
    counts = [(kind, sum(one.hindrance is kind for one in passed_over)) for kind in Hindrance]
    told = ", ".join(f"{count} {_words(kind, policy)}" for kind, count in counts if count)
    return NothingToTake(f"No {noun} is left to take: {told}.", _remedy(policy, passed_over), tuple(passed_over))


def _words(kind: Hindrance, policy: Policy) -> str:
    return {
        Hindrance.HELD: "held",
        Hindrance.MOVED: "moved by upstream",
        Hindrance.WITHDRAWN: "withdrawn by upstream",
        Hindrance.ASTRAY: "not on the default branch",
        Hindrance.YOUNG: f"younger than {policy.cooldown_text}" if policy.cooldown else "dated in the future",
        Hindrance.OLD: f"older than the minimum {policy.minimum}",
    }[kind]


def _remedy(policy: Policy, passed_over: Sequence[PassedOver]) -> str:
    soonest = min((one.settles for one in passed_over if one.settles), default=None)
    if soonest is not None:
        when = f"{soonest.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
        other = "give a shorter `--cooldown`" if policy.cooldown else "set this machine's clock"
        return f"Wait until {when}, {other}, or pin one with `--ref`."
    if names := list(dict.fromkeys(one.accept for one in passed_over if one.accept)):
        return f"Look at `builder upstream`, and follow upstream by `builder upstream accept {' '.join(names)}`."
    if any(one.hindrance is Hindrance.ASTRAY for one in passed_over):
        return "Take another channel, such as `--channel branch`, or pin one with `--ref`."
    if any(one.hindrance is Hindrance.HELD for one in passed_over):
        return "Look at upstream.hold, or pin one with `--ref`."
    return "Lower version.minimum, or take another channel."

"""What a person holds back: a tag, a commit, or a range of tags that includes both its ends."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

_BUILD = r"b([0-9]{1,6})"
_RELEASE = r"v([0-9]+\.[0-9]+\.[0-9]+)"
_COMMIT = re.compile(r"[0-9a-f]{7,64}")
_KINDS = tuple(re.compile(rf"(?:{one})?(\.\.)?(?:{one})?") for one in (_BUILD, _RELEASE))


@dataclass(frozen=True)
class BuildRange:
    """Build numbers from the first to the last; None is an open end."""

    first: int | None
    last: int | None

    def __contains__(self, number: int) -> bool:
        return (self.first is None or self.first <= number) and (self.last is None or number <= self.last)


@dataclass(frozen=True)
class ReleaseRange:
    """Releases from the first to the last, such as `0.3.10`; None is an open end."""

    first: str | None
    last: str | None

    def __contains__(self, release: str) -> bool:
        from packaging.version import Version

        asked = Version(release)
        return (self.first is None or Version(self.first) <= asked) and (
            self.last is None or asked <= Version(self.last)
        )


@dataclass(frozen=True)
class CommitPrefix:
    """A commit by its first digits."""

    digits: str


Scope = BuildRange | ReleaseRange | CommitPrefix


@dataclass(frozen=True)
class Hold:
    """Something that is not to be taken.

    Attributes:
        ref: as a person wrote it.
        reason: why, for people.
        span: for a range of releases, the build numbers from its first to its last, where both are known.
    """

    ref: str
    reason: str
    scope: Scope
    span: BuildRange | None = None

    @classmethod
    def of(cls, ref: str, reason: str) -> Hold:
        """Read what is held.

        Raises:
            ValueError: the ref is no tag, commit or range.
        """
        return cls(ref, reason, parse_scope(ref))

    def spanning(self, number_of: Callable[[str], int | None]) -> Hold:
        """The same; a range of releases also covers the builds between them.

        Args:
            number_of: the build number of a release such as `0.3.10`; None is unknown.
        """
        scope = self.scope
        if not isinstance(scope, ReleaseRange) or scope.first == scope.last:
            return self
        ends = [None if release is None else number_of(release) for release in (scope.first, scope.last)]
        if any(release and number is None for release, number in zip((scope.first, scope.last), ends, strict=True)):
            return self
        return replace(self, span=BuildRange(*ends))

    def covers(self, commit: str, numbers: Collection[int] = (), releases: Collection[str] = ()) -> bool:
        """Whether a commit is held, by its own name or by any number or release that it has.

        Args:
            commit: its whole object name.
            releases: versions without the `v`.
        """
        match self.scope:
            case BuildRange() as builds:
                return any(number in builds for number in numbers)
            case ReleaseRange() as range_:
                return any(release in range_ for release in releases) or (
                    self.span is not None and any(number in self.span for number in numbers)
                )
            case CommitPrefix(digits):
                return commit.startswith(digits)


def parse_scope(text: str) -> Scope:
    """Read `b9282`, `v0.3.0`, seven digits of a commit or more, or a range: `b9300..b9310`, `v0.3.0..`, `..b5000`.

    Raises:
        ValueError: it is none of them, or a range that ends before it begins.
    """
    builds, releases = (kind.fullmatch(text) for kind in _KINDS)
    if builds and any(builds.groups()[::2]):
        first, last = _ends(builds)
        build_range = BuildRange(_number(first), _number(last))
        if build_range.first is not None and build_range.last is not None and build_range.first > build_range.last:
            raise ValueError(f"{text} ends before it begins")
        return build_range
    if releases and any(releases.groups()[::2]):
        release_range = ReleaseRange(*_ends(releases))
        if release_range.first is not None and release_range.last is not None:
            _require_order(release_range, text)
        return release_range
    if _COMMIT.fullmatch(text.lower()):
        return CommitPrefix(text.lower())
    raise ValueError(f"{text} is no tag such as b9282 or v0.3.0, no commit and no range of tags")


def _ends(match: re.Match[str]) -> tuple[str | None, str | None]:
    """The ends of a range; a single tag is both."""
    first, dots, last = match.groups()
    if not dots and last is not None:
        raise ValueError(f"{match[0]} is two names without `..` between")
    return (first, last) if dots else (first, first)


def _number(text: str | None) -> int | None:
    return None if text is None else int(text)


def _require_order(releases: ReleaseRange, text: str) -> None:
    assert releases.last is not None
    if releases.last not in ReleaseRange(releases.first, None):
        raise ValueError(f"{text} ends before it begins")

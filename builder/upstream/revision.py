"""One upstream commit, as far as it is known."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

UNKNOWN_BUILD_NUMBERS = frozenset({0, 1})
"""What builds without git (0) or from a shallow clone (1) print: neither says how old the source is."""

BUILD_TAG = re.compile(r"b([0-9]{1,6})")
"""A tag that carries a build number: six digits last for decades, and a date has eight."""

RELEASE_TAG = re.compile(r"v([0-9]+\.[0-9]+\.[0-9]+)")
"""A tag that carries a release."""

_DIRTY = "-dirty"
"""What `git describe --dirty` appends; ggml's own build script appends the same."""


_LAST = datetime(9999, 1, 1, tzinfo=UTC)
"""A day before the end of the calendar, so that every time zone has it."""


def moment(seconds: int) -> datetime:
    """A commit time as git tells it, seconds since 1970; a commit may claim a year that no calendar has."""
    return datetime.fromtimestamp(min(seconds, int(_LAST.timestamp())), UTC)


@dataclass(frozen=True)
class Revision:
    """One upstream commit.

    Attributes:
        commit: hexadecimal object name, whole or abbreviated (7 characters at least); None where nobody knows it.
        build_number: `git rev-list --count` of the commit on the full history, what `bNNNN` tags carry; None: unknown.
        release: version without the `v`: `0.5.0` where a `vX.Y.Z` tag names the commit; else what the tree says of
            itself, `0.5.0-dev` between releases; None before August 2026, when trees had no version.
        committed: commit time, with time zone; None is unknown.
        origin: where it came from, for people; holds no credentials.
        ref: what was asked for, such as `latest`, `b10991` or a file name.
        dirty: the tree holds changes that are in no commit; the other facts are those of the commit it is based on.
    """

    commit: str | None
    build_number: int | None
    release: str | None
    committed: datetime | None
    origin: str
    ref: str
    dirty: bool = False

    def __post_init__(self) -> None:
        if self.build_number in UNKNOWN_BUILD_NUMBERS:
            raise ValueError(f"build number {self.build_number} means unknown: use None")

    @property
    def name(self) -> str:
        """Short name for people and tags: `b10991`, else `v0.5.0-dev-0c1e57098`, else the commit, else `unknown`.

        `-dirty` follows where the tree is not what the commit holds. Never `b0`: a number that is not known is not
        written.
        """
        return f"{self._base}{_DIRTY}" if self.dirty else self._base

    @property
    def title(self) -> str:
        """The name with what was asked for, where that is another: `b10991`, `v0.5.0 (b10991)`."""
        plain = self.ref in ("", self.name, "latest") or (self.commit or "").startswith(self.ref)
        return self.name if plain or self.origin.endswith(self.ref) else f"{self.ref} ({self.name})"

    def described_commit(self, digits: int | None = None) -> str:
        """The commit as a binary or a label states it: `0c1e57098`, `0c1e57098-dirty`, or `unknown`.

        Args:
            digits: how many of its digits are shown; None shows all.
        """
        if self.commit is None:
            return "unknown"
        return self.commit[:digits] + (_DIRTY if self.dirty else "")

    @property
    def _base(self) -> str:
        if self.build_number is not None:
            return f"b{self.build_number}"
        parts = [f"v{self.release}"] if self.release else []
        if self.commit:
            parts.append(self.commit[:9])
        return "-".join(parts) or "unknown"

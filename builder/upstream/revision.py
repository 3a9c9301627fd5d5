"""One upstream commit, as far as it is known."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

UNKNOWN_BUILD_NUMBERS = frozenset({0, 1})
"""What builds without git (0) or from a shallow clone (1) print: neither says how old the source is."""


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
    """

    commit: str | None
    build_number: int | None
    release: str | None
    committed: datetime | None
    origin: str
    ref: str

    def __post_init__(self) -> None:
        if self.build_number in UNKNOWN_BUILD_NUMBERS:
            raise ValueError(f"build number {self.build_number} means unknown: use None")

    @property
    def name(self) -> str:
        """Short name for people and tags: `b10991`, else `v0.5.0-dev-0c1e57098`, else the commit, else `unknown`.

        Never `b0`: a number that is not known is not written.
        """
        if self.build_number is not None:
            return f"b{self.build_number}"
        parts = [f"v{self.release}"] if self.release else []
        if self.commit:
            parts.append(self.commit[:9])
        return "-".join(parts) or "unknown"

"""The oldest that will do."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from builder.errors import UsageError

if TYPE_CHECKING:
    from packaging.version import Version

_NUMBER = re.compile(r"b?(\d{1,9})", re.ASCII)
_RELEASE = re.compile(r"v?(\d+\.\d+\S*)", re.ASCII)


@dataclass(frozen=True)
class Minimum:
    """The oldest that will do: a build number or a release, exactly one of them.

    Attributes:
        build: such as 3294.
        release: such as 0.3.0.
    """

    build: int | None
    release: Version | None

    @classmethod
    def parse(cls, text: str) -> Minimum:
        """Read `3294`, `b3294`, `v0.3.0` or `0.3.0`.

        Raises:
            UsageError: it is neither.
        """
        text = text.strip()
        if number := _NUMBER.fullmatch(text):
            return cls(int(number[1]), None)
        if release := _RELEASE.fullmatch(text):
            from packaging.version import InvalidVersion, Version

            try:
                return cls(None, Version(release[1]))
            except InvalidVersion:
                pass
        raise UsageError(
            f"The minimum {text[:80]!r} is neither a build number nor a release.",
            "Write a number such as 3294, or a release such as v0.3.0.",
        )

    def __str__(self) -> str:
        return f"b{self.build}" if self.build is not None else f"v{self.release}"

"""Servers that were waited for in vain: remembered for a while, so that nobody waits for them again at once."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from builder.errors import BuilderError
from builder.staging import write_whole
from builder.upstream.git import Unreachable

_MINUTE = 60.0
_REMEMBERED = 600.0
"""Seconds for which an absence is remembered."""


@dataclass(frozen=True)
class Absence:
    """What is remembered of one server.

    It saves time and nothing else: what cannot be read or written is as good as not remembered.

    Attributes:
        mark: a file that holds why the server was out of reach; its time is when that was found out.
        patience: seconds; who is out of reach sooner can as well be asked again.
    """

    mark: Path
    patience: float = 2.0

    @classmethod
    def of(cls, mirror: Path) -> Absence:
        """What is remembered of the server of a mirror."""
        return cls(mirror.with_suffix(".unreachable"))

    def check(self) -> None:
        """Refuse to wait again.

        Raises:
            Unreachable: the server was out of reach a moment ago.
        """
        try:
            age = time.time() - self.mark.stat().st_mtime
            cause = self.mark.read_text(encoding="utf-8", errors="replace").removesuffix(".")
        except OSError:
            return
        if cause and 0 <= age < _REMEMBERED:
            ago = f"{age / _MINUTE:.0f} min" if age >= _MINUTE else "less than a minute"
            remedy = f"Check the network, or remove {self.mark} to ask again at once."
            raise Unreachable(f"{cause} (asked {ago} ago).", remedy)

    @contextmanager
    def noting(self) -> Iterator[None]:
        """Remember whether the server is out of reach for what the block asks of it."""
        began = time.monotonic()
        try:
            yield
        except Unreachable as error:
            if time.monotonic() - began > self.patience:
                with suppress(BuilderError):
                    write_whole(self.mark, error.cause.encode())
            raise
        with suppress(OSError):
            self.mark.unlink()

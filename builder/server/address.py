"""Where a server is asked, and what has to be shown to be answered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Address:
    """One server as those see it who ask it.

    Attributes:
        url: such as `http://127.0.0.1:32801`.
        key: of its API; empty where it wants none. It is shown to nobody else.
    """

    url: str
    key: str = field(default="", repr=False)

    @property
    def headers(self) -> Mapping[str, str]:
        """What every request carries."""
        return {"Authorization": f"Bearer {self.key}"} if self.key else {}

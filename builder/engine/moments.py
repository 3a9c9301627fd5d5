"""Times as the engine writes them."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime


def read_moment(text: str) -> datetime | None:
    """A time as the engine writes it, in UTC; None for its zero, or where it is none."""
    with suppress(ValueError):
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC) if moment.year > 1 else None
    return None

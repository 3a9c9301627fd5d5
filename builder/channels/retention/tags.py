"""Tags that builds and promotions give, and those that people do."""

from __future__ import annotations

from collections.abc import Container, Iterable

from builder.channels.places.engine import is_keeper
from builder.engine.naming import TESTS_SUFFIX


def given_by_people(names: Iterable[str], ours: Container[str]) -> str:
    """Why an image stays that somebody gave a tag in our repositories, as a clause; empty where nobody did.

    Args:
        names: its whole names in our repositories.
        ours: the tags that move, and those that are the image's own.
    """
    tags = (name.rpartition(":")[2] for name in names)
    given = (tag for tag in tags if tag not in ours and not is_keeper(tag) and not tag.endswith(TESTS_SUFFIX))
    return next((f"somebody tagged it {tag}" for tag in given), "")

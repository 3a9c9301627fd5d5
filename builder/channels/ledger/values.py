"""What entries of the ledger are made of: digests, moments, documents.

Moments carry their time zone and are kept in UTC.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, fields
from datetime import UTC, datetime
from typing import Any

DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
COMMIT = re.compile(r"[0-9a-f]{7,64}")
NAME = re.compile(r"[a-z][a-z0-9-]{0,63}")
ID = re.compile(r"[0-9a-f]{32}")
_SHOWN = 19
"""Characters of a digest that are shown, `sha256:` among them."""


def canonical(document: object) -> bytes:
    """The one way to write a document, so that equal documents have equal bytes.

    Raises:
        ValueError: it holds what JSON cannot, such as a number that is none.
    """
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8")


def digest_of(content: bytes) -> str:
    """`sha256:...` of bytes."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def is_digest(text: str) -> bool:
    """Whether a text is a digest as the ledger knows them."""
    return bool(DIGEST.fullmatch(text))


def short(digest: str | None) -> str:
    """A digest as a person reads it, or its absence; what is none is left as it is."""
    if not digest:
        return "nothing"
    return digest[:_SHOWN] if is_digest(digest) else digest


def spell(moment: datetime) -> str:
    """A moment in UTC and of fixed width, so that texts sort as moments do."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def moment_of(text: str) -> datetime:
    """The moment that `spell` wrote.

    Raises:
        ValueError: it did not.
    """
    return datetime.fromisoformat(text)


def require(pattern: re.Pattern[str], **values: str | None) -> None:
    """See that values by their names are of a form; None is.

    Raises:
        ValueError: one is not.
    """
    for name, value in values.items():
        if value is not None and not pattern.fullmatch(value):
            raise ValueError(f"{name} cannot be {value!r}")


def require_words(**values: str | None) -> None:
    """See that values by their names say something; None is fine.

    Raises:
        ValueError: one does not.
    """
    for name, value in values.items():
        if value is not None and not value.strip():
            raise ValueError(f"{name} is empty")


class Entry:
    """What entries have in common."""

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012

    def __post_init__(self) -> None:
        for part in fields(self):  # type: ignore[arg-type]
            value = getattr(self, part.name)
            if isinstance(value, datetime):
                if value.tzinfo is None:
                    raise ValueError(f"{part.name} has no time zone")
                object.__setattr__(self, part.name, _in_utc(part.name, value))
        self.check()

    def check(self) -> None:
        """Raise ValueError for what cannot be."""

    def plain(self) -> dict[str, Any]:
        """The entry as JSON-ready data."""
        return {name: _plain(value) for name, value in asdict(self).items()}  # type: ignore[call-overload]


def _in_utc(name: str, moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"{name} is beyond the calendar") from None


def _plain(value: object) -> object:
    match value:
        case datetime():
            return spell(value)
        case dict():
            return {name: _plain(part) for name, part in value.items()}
        case tuple() | list():
            return [_plain(part) for part in value]
        case _:
            return value

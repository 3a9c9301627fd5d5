"""What every table of builder.toml is made of."""

from __future__ import annotations

from datetime import timedelta

from pydantic import BaseModel, ConfigDict

DURATION = r"^(0|[0-9]{1,4}[mhdw])$"
"""How a span of time is written."""
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


class Section(BaseModel):
    """A table whose keys are written with dashes and all known."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        alias_generator=lambda name: name.replace("_", "-"),
        populate_by_name=True,
    )


def parse_duration(text: str) -> timedelta:
    """`30m`, `12h`, `3d`, `1w` or `0` as a span of time."""
    return timedelta() if text == "0" else timedelta(**{_UNITS[text[-1]]: int(text[:-1])})


def parse_share(text: str) -> float:
    """`5%` as 0.05."""
    return float(text.removesuffix("%")) / 100

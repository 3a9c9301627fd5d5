"""What a gate says about an image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """The three answers of a gate. What could not be judged has not passed."""

    PASS = "pass"  # noqa: S105
    FAIL = "fail"
    UNJUDGED = "could not judge"


@dataclass(frozen=True)
class Verdict:
    """One gate's answer about one subject.

    Attributes:
        gate: the gate's name, such as `version`.
        outcome: the answer.
        subject: what was judged, in the words it was asked for.
        digest: the image ID where the subject is an image.
        reasons: sentences a person can act on; the first says why.
        measurements: figures by name.
        seconds: time taken.
    """

    gate: str
    outcome: Outcome
    subject: str
    digest: str | None
    reasons: tuple[str, ...]
    measurements: Mapping[str, str | int | float | bool | None]
    seconds: float

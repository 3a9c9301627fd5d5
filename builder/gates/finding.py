"""What a check comes to: its outcome and the figures that came with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from builder.gates.verdict import Check, Measurements, failed, passed, unjudged


@dataclass(frozen=True)
class Finding:
    """A check and the figures that came with it."""

    check: Check
    measurements: Measurements = field(default_factory=dict)

    def of(self, name: str) -> Finding:
        """The same with a name beside the check's and before each figure's, such as a profile's."""
        figures = {f"{name}_{figure}": value for figure, value in self.measurements.items()}
        return Finding(replace(self.check, name=f"{self.check.name} ({name})"), figures)


def good(name: str, detail: str, measurements: Mapping[str, float] | None = None) -> Finding:
    """A check that passed."""
    return Finding(passed(name, detail), measurements or {})


def bad(
    name: str, detail: str, excerpt: tuple[str, ...] = (), measurements: Mapping[str, float] | None = None
) -> Finding:
    """A check that failed."""
    return Finding(failed(name, detail, excerpt), measurements or {})


def unknown(name: str, detail: str, excerpt: tuple[str, ...] = ()) -> Finding:
    """A check that could not be made."""
    return Finding(unjudged(name, detail, excerpt))

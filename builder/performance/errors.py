"""What could not be measured, and why."""

from __future__ import annotations

from builder.errors import BuilderError, ExitCode


class CouldNotMeasure(BuilderError):
    """Something could not be measured, which says nothing of how fast it is."""

    exit_code = ExitCode.UNJUDGED

"""Base images that the configuration names."""

from __future__ import annotations

from builder.engine.images import Image
from builder.errors import UsageError
from builder.image.bases import BaseRequest, Workshop
from builder.plan.plan import PlannedBases
from builder.settings import Bases

_PULL = 1800.0
"""Seconds for a pull."""


class Custom:
    """Any two images; they are pulled where they are not here."""

    name = "custom"

    def __init__(self, settings: Bases, workshop: Workshop) -> None:
        self._settings = settings
        self._workshop = workshop

    def bases(self, request: BaseRequest) -> PlannedBases:  # noqa: ARG002
        """The images as configured, identified by their IDs.

        Raises:
            UsageError: one is not named, or is neither here nor to be had.
        """
        devel, runtime = self._settings.devel, self._settings.runtime
        return PlannedBases(
            self.name, devel, self._present("devel", devel).id, runtime, self._present("runtime", runtime).id
        )

    def obstacle(self, request: BaseRequest) -> str | None:  # noqa: ARG002
        """None: what is configured is there, or `bases` has said so."""
        return None

    def make(self, request: BaseRequest) -> None:
        """Nothing: `bases` has them."""

    def _present(self, role: str, reference: str) -> Image:
        key = f"bases.{role}"
        if not reference:
            raise UsageError(
                f"Bases of your own need {key}.",
                f"Give --{role} IMAGE, set {key} in builder.toml, or choose other bases.",
            )
        engine = self._workshop.engine
        found = engine.image(reference)
        if found is None:
            self._workshop.reporter.notice(f"Pulling {reference} ({key}).")
            pulled = engine.pull(reference, timeout=_PULL)
            found = engine.image(reference)
            if found is None:
                cause = (pulled.stderr.strip().splitlines() or ["it is not there"])[-1]
                raise UsageError(
                    f"The base image {reference} ({key}) is not here and cannot be pulled: {cause}",
                    f"Check {key} in builder.toml, or load the image with `docker load`.",
                )
        return found

"""What a promotion needs of a place in which something names an image."""

from __future__ import annotations

from typing import Protocol

ENGINE = "engine"
REGISTRY = "registry"
FILE = "file"


class Place(Protocol):
    """Somewhere that subjects, such as tags or files, name digests.

    A digest is the place's own: an image ID in an engine, a manifest's digest in a registry, a content's digest for a
    file. Every method raises MachineError where the place does not answer; what it had before, it has, or the next
    `read` tells.
    """

    @property
    def name(self) -> str:
        """What the ledger calls it: `engine`, `registry` or `file`."""
        ...

    def read(self, subject: str) -> str | None:
        """The digest that a subject names now; None for nothing."""
        ...

    def has(self, digest: str) -> bool:
        """Whether the place has all of what a digest stands for, so that a subject can be moved to it."""
        ...

    def move(self, subject: str, digest: str | None) -> None:
        """Let a subject name a digest that the place has already; None lets it name nothing.

        Returns when it was seen to be so.
        """
        ...

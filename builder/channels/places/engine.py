"""The engine's tags as a place in which something names an image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from builder.channels.places.place import ENGINE
from builder.engine.client import Engine
from builder.engine.images import Image
from builder.errors import MachineError

_KEPT = "kept-"
_DIGITS = 12


@dataclass(frozen=True)
class EnginePlace:
    """Tags such as `local-ai-llama:latest`, and image IDs.

    An image whose last name moves on gets another, `kept-<ID>` in the same repository: an engine with containerd's
    store forgets one without a name.

    Attributes:
        engine: where the images are.
        held: open files that Docker's client keeps open while it changes something, such as a lock: where this process
            is killed, the next one does not look before the change is made.
    """

    engine: Engine
    held: tuple[int, ...] = ()
    name: ClassVar[str] = ENGINE

    def read(self, subject: str) -> str | None:
        """The ID of the image that a tag names; None for none."""
        image = self.engine.image(subject)
        return image.id if image else None

    def has(self, digest: str) -> bool:
        """Whether the engine has an image.

        Raises:
            MachineError: it does not answer.
        """
        return self.engine.image(digest) is not None

    def move(self, subject: str, digest: str | None) -> None:
        """Let a tag name an image that the engine has; None takes the tag away.

        Raises:
            MachineError: the engine refuses, has no such image, or would lose one with its last name.
        """
        self._keep(subject, self.engine.image(subject), digest)
        if digest is None:
            self.engine.remove_image(subject, held=self.held)
        else:
            self.engine.tag(digest, subject, held=self.held)
        if (now := self.read(subject)) != digest:
            raise MachineError(
                f"The engine's {subject} names {now or 'nothing'} after {digest or 'nothing'} was put there.",
                "See what else moves it.",
            )
        if digest is not None:
            self._let_go(subject, digest)

    def _keep(self, subject: str, holder: Image | None, digest: str | None) -> None:
        """Give an image another name where the one that goes is its last."""
        if holder and holder.id != digest and set(holder.references) <= {subject}:
            self.engine.tag(holder.id, _kept_name(subject, holder.id), held=self.held)

    def _let_go(self, subject: str, digest: str) -> None:
        """Take away the name that kept an image which has another now."""
        kept = _kept_name(subject, digest)
        image = self.engine.image(digest)
        if image and kept in image.references and len(image.references) > 1:
            self.engine.remove_image(kept, held=self.held)


def is_keeper(tag: str) -> bool:
    """Whether a tag is there only so that an image is not lost."""
    return tag.startswith(_KEPT)


def _kept_name(subject: str, digest: str) -> str:
    repository = subject.rpartition(":")[0]
    return f"{repository}:{_KEPT}{digest.removeprefix('sha256:')[:_DIGITS]}"

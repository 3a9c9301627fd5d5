"""Images that an engine does not have, and what it has instead."""

from __future__ import annotations

import re

from builder.engine.client import Engine
from builder.errors import BuildError, UsageError

_ID = re.compile(r"(?:sha256:)?[0-9a-f]{12,64}")
_CONTAINER = "container:"
_SHOWN = 3
_DIGEST = 19
"""Characters of a digest that are shown."""
TESTS_SUFFIX = "-tests"
"""How the tag of an image with upstream's test programs ends."""


def absent(engine: Engine, name: str) -> UsageError:
    """The error for a name under which the engine has no image, with other tags of its repository.

    Raises:
        MachineError: the engine could not tell.
    """
    if not name.strip():
        return UsageError("The name of the image is empty.", "Name one that `docker image ls` shows.")
    if name.startswith(_CONTAINER):
        return UsageError(
            f"{name} is a container, not an image.", "Name the image it runs, which `docker ps` shows beside it."
        )
    repository = _repository(name)
    tagged = repository != name or bool(_ID.fullmatch(name))
    others = [one for one in engine.references_of(repository) if not one.endswith(TESTS_SUFFIX)][:_SHOWN]
    cause = f"There is no image {name if tagged else f'{name}:latest'} on this engine."
    if others:
        return UsageError(cause, "Name one of these, build it, or pull it.", excerpt=tuple(others))
    return UsageError(cause, "Build it, pull it, or see `docker image ls`.")


def name_for_ever(engine: Engine, image: str, reference: str) -> None:
    """Give an image of the engine a name that is never moved.

    Args:
        image: its ID.

    Raises:
        BuildError: the name is another image's.
        MachineError: the engine refuses.
    """
    holder = engine.image(reference)
    if holder is None:
        engine.tag(image, reference)
    elif holder.id != image:
        raise BuildError(
            f"The tag {reference} is already another image ({holder.id[:_DIGEST]}), and it is never moved.",
            f"Look at it with `docker image inspect {reference}`; remove it if it is not what its name says.",
        )


def _repository(name: str) -> str:
    bare = name.partition("@")[0]
    folder, slash, last = bare.rpartition("/")
    return f"{folder}{slash}{last.partition(':')[0]}"

"""Images that an engine does not have, and what it has instead."""

from __future__ import annotations

import re

from builder.engine.client import Engine
from builder.errors import UsageError

_ID = re.compile(r"(?:sha256:)?[0-9a-f]{12,64}")
_CONTAINER = "container:"
_SHOWN = 3
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


def _repository(name: str) -> str:
    bare = name.partition("@")[0]
    folder, slash, last = bare.rpartition("/")
    return f"{folder}{slash}{last.partition(':')[0]}"

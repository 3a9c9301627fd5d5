"""A Compose override that pins services to an image; the whole file is ours.

It is merged over the stack's own: `docker compose -f compose.yaml -f FILE up -d`, or by name as
`compose.override.yaml`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from builder.errors import UsageError

_MARK = "# Written by builder:"
_IMAGE = re.compile(r'^    image: "(?P<image>[^"\\]+)"$', re.MULTILINE)


def compose_override(image: str, services: Sequence[str], about: str) -> bytes:
    """The file.

    Args:
        image: what the services run.
        about: one line for people on what this image is.
    """
    # An ID is no name: there is nowhere to pull it from.
    pull = '    pull_policy: "never"\n' if image.startswith("sha256:") else ""
    entries = "".join(
        f"  {json.dumps(name)}:\n    image: {json.dumps(image)}\n{pull}" for name in dict.fromkeys(services)
    )
    note = f"{_MARK} `builder promote` and `builder rollback` replace it as a whole.\n# {about}\n"
    return f"{note}services:\n{entries}".encode()


def require_ours(content: bytes, file: str) -> None:
    """See that a file is one that `compose_override` wrote, or empty.

    Raises:
        UsageError: it is somebody else's.
    """
    if content.strip() and not content.startswith(_MARK.encode()):
        raise UsageError(
            f"{file} is there and was not written by builder, which would replace it as a whole.",
            "Name another file as adoption.compose-file, or move this one away.",
        )


def images_in(content: bytes) -> tuple[str, ...]:
    """The images that a file of ours pins its services to, each once."""
    return tuple(dict.fromkeys(_IMAGE.findall(content.decode(errors="replace"))))

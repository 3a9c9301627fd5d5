"""The key that a profile gives its server: without it llama-server answers little but its health."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from builder.errors import UsageError
from builder.profiles import Profile
from builder.server.help import Help

_WORD, _FILE = "--api-key", "--api-key-file"
_VARIABLE = "LLAMA_API_KEY"
_SEVERAL = "comma"
"""What the help says of keys since one word may hold several, in 2026; before, a comma is part of a key."""


@dataclass(frozen=True)
class Access:
    """What it takes to be answered.

    Attributes:
        key: one of the server's; empty where it wants none.
        files: that hold keys and that the server has to see where they are on this machine.
    """

    key: str = field(default="", repr=False)
    files: tuple[Path, ...] = ()


def access_of(profile: Profile, known: Help) -> Access:
    """What a profile's server wants to be shown.

    Args:
        known: what the server can be told.

    Raises:
        UsageError: the profile names a file of keys that this machine does not have or that holds none, or a key that
            no request can carry.
    """
    words = profile.extra_arguments
    files = tuple(Path(value) for word, value in pairwise(words) if word == _FILE)
    given = [value for word, value in pairwise(words) if word == _WORD]
    given += [value for name, value in profile.environment.items() if name == _VARIABLE]
    option = known.options.get(_WORD)
    several = option is not None and _SEVERAL in option.text
    keys = [*(_first(value) if several else value for value in given), *(key for file in files for key in _keys(file))]
    key = next(filter(None, keys), "")
    if not (key.isascii() and key.isprintable()):
        raise UsageError("An API key of the profile cannot be sent with a request.", "Take one of printable ASCII.")
    return Access(key, files)


def _first(value: str) -> str:
    return next((key for part in value.split(",") if (key := part.strip())), "")


def _keys(file: Path) -> Iterator[str]:
    """The keys of a file, one a line."""
    if not file.is_absolute():
        raise UsageError(f"{_FILE} {file} says no folder.", "Name the file as the server sees it, from the root on.")
    try:
        keys = list(filter(None, file.read_text(encoding="utf-8").splitlines()))
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise UsageError(
            f"The keys in {file}, which {_FILE} names, cannot be read: {why}.",
            "Put the file there on this machine too; the server's container gets it as it is.",
        ) from error
    if not keys:
        raise UsageError(f"{file}, which {_FILE} names, holds no key.", "Write one a line.")
    yield from keys

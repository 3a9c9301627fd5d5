"""What can be asked for its version: an image, a container, a binary, a text."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from builder.errors import UsageError

_REFERENCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/:@-]{0,511}")
_CONTAINER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,255}")
_CONTAINER_PREFIX = "container:"


@dataclass(frozen=True)
class ImageSubject:
    """An image by name, ID or digest."""

    reference: str


@dataclass(frozen=True)
class ContainerSubject:
    """A container by name or ID, running or not."""

    name: str


@dataclass(frozen=True)
class BinarySubject:
    """A program on this machine."""

    path: Path


@dataclass(frozen=True)
class TextSubject:
    """Output that was caught elsewhere, on standard input."""


Subject = ImageSubject | ContainerSubject | BinarySubject | TextSubject


def parse_subject(text: str) -> Subject:
    """Tell what a word on the command line names.

    A word that starts like a path is one, as is the name of a file; all else is an image.

    Raises:
        UsageError: it cannot be the name of any of them.
    """
    if not _is_unicode(text):
        raise _refused(f"{text!r} is not UTF-8.")
    if text == "-":
        return TextSubject()
    if text.startswith(_CONTAINER_PREFIX):
        return ContainerSubject(_checked(_CONTAINER, text.removeprefix(_CONTAINER_PREFIX), "a container"))
    if text.startswith(("/", "./", "../", "~/")) or _is_file(text):
        return BinarySubject(Path(text).expanduser())
    return ImageSubject(_checked(_REFERENCE, text, "an image"))


def _is_file(text: str) -> bool:
    return "\0" not in text and os.path.isfile(text)  # noqa: PTH113


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _checked(pattern: re.Pattern[str], name: str, kind: str) -> str:
    if pattern.fullmatch(name):
        return name
    raise _refused(f"{name!r} cannot be the name of {kind}.")


def _refused(cause: str) -> UsageError:
    return UsageError(
        cause, "Give an image, `container:NAME`, the path of a binary, or `-` for text on standard input."
    )

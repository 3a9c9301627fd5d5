"""What the adoption files are to hold, and which image they name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from builder.channels.adoption.compose_file import compose_override, images_in, require_ours
from builder.channels.adoption.env_file import set_variable, value_of
from builder.config import Config
from builder.errors import MachineError, UsageError

_PINNED = re.compile(r"([A-Za-z0-9.:\[\]_/-]+@)?sha256:[0-9a-f]{64}")


@dataclass(frozen=True)
class Pinned:
    """An image by its digest, and why it is adopted.

    Attributes:
        image: `repository@sha256:...` in a registry, or an engine's ID `sha256:...`.
        promotion: the ledger's name for it.
        at: when.
        name: of the build, such as `b10991`.
    """

    image: str
    promotion: str
    at: datetime
    name: str

    def __post_init__(self) -> None:
        if not _PINNED.fullmatch(self.image):
            raise ValueError(f"{self.image!r} does not name an image by its digest")
        if self.name != "".join(self.name.split()):
            raise ValueError(f"{self.name!r} is no name of a build")


@dataclass(frozen=True)
class Places:
    """The adoption files by their absolute paths; None where there is to be none."""

    env_file: Path | None
    compose_file: Path | None

    @classmethod
    def of(cls, config: Config) -> Places:
        """Where `[adoption]` puts them: from the configuration file's folder, or where a variable or an option says.

        Raises:
            UsageError: both are the same file.
        """
        places = cls(config.path_of("adoption.env-file"), config.path_of("adoption.compose-file"))
        if places.env_file and places.env_file == places.compose_file:
            raise UsageError(
                f"adoption.env-file and adoption.compose-file are the same, {places.env_file}.", "Name two files."
            )
        return places


def files_for(config: Config, pinned: Pinned) -> Mapping[Path, bytes]:
    """What each adoption file is to hold, by its absolute path; nothing where none is named.

    Raises:
        UsageError: one that is there is not ours to write.
        MachineError: one that is there cannot be read.
    """
    adoption = config.settings.adoption
    places = Places.of(config)
    files: dict[Path, bytes] = {}
    if file := places.env_file:
        content = _read(file)
        files[file] = set_variable(content or b"", adoption.variable, pinned.image, str(file))
    if file := places.compose_file:
        require_ours(_read(file) or b"", str(file))
        at = pinned.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        about = f"{pinned.name}, adopted {at} by promotion {pinned.promotion}"
        files[file] = compose_override(pinned.image, adoption.services, about)
    return files


def images_of(config: Config) -> Mapping[Path, tuple[str, ...]]:
    """The images that the adoption files name now, by path: none where a file is not there or names none.

    Raises:
        UsageError: a file is not to be understood.
        MachineError: one cannot be read.
    """
    places = Places.of(config)
    found: dict[Path, tuple[str, ...]] = {}
    if file := places.env_file:
        value = value_of(_read(file) or b"", config.settings.adoption.variable, str(file))
        found[file] = (value,) if value else ()
    if file := places.compose_file:
        found[file] = images_in(_read(file) or b"")
    return found


def _read(file: Path) -> bytes | None:
    try:
        return file.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise MachineError(f"{file} cannot be read: {error.strerror}.", "Check its folder and permissions.") from error

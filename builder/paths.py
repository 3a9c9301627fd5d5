"""Where things are kept between runs."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from builder.errors import MachineError


@dataclass(frozen=True)
class Paths:
    """Folders below one cache folder; each is made when first asked for.

    The cache holds nothing that cannot be made or fetched again. Each folder raises MachineError where it cannot be
    made.
    """

    cache: Path

    @classmethod
    def default(cls) -> Paths:
        """`BUILDER_CACHE`, else the user's cache folder by the platform's conventions."""
        if chosen := os.environ.get("BUILDER_CACHE"):
            return cls(Path(chosen).expanduser().absolute())
        from platformdirs import user_cache_path

        return cls(user_cache_path("builder", appauthor=False))

    def _made(self, name: str) -> Path:
        folder = self.cache / name
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise MachineError(
                f"The cache folder {self.cache} cannot be used: {error.strerror}.",
                "Set BUILDER_CACHE to a folder that can be written to.",
            ) from error
        return folder

    @property
    def mirrors(self) -> Path:
        """Bare git mirrors of upstream repositories, one folder per URL."""
        return self._made("mirrors")

    @property
    def archives(self) -> Path:
        """Downloaded source archives, by file name."""
        return self._made("archives")

    @property
    def trees(self) -> Path:
        """Unpacked upstream trees, read-only once there, one folder per content."""
        return self._made("trees")

    @property
    def bases(self) -> Path:
        """What base images are made of."""
        return self._made("bases")

    @property
    def images(self) -> Path:
        """IDs of the images that were built, one file per plan."""
        return self._made("images")

    @property
    def locks(self) -> Path:
        """Files that processes hold while they make what no two may make at once."""
        return self._made("locks")

    @property
    def logs(self) -> Path:
        """One folder per run."""
        return self._made("logs")

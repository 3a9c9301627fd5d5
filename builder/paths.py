"""Where things are kept between runs."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from builder.errors import MachineError


@dataclass(frozen=True)
class Paths:
    """Folders below one cache folder, the ledger, and what was measured; each folder is made when first asked for.

    The cache holds nothing that cannot be made or fetched again. Each folder raises MachineError where it cannot be
    made.

    Attributes:
        cache: the folder of all that can be made again.
        state: the folder of what cannot; None keeps that beside the rest, for one who wants a single folder.
    """

    cache: Path
    state: Path | None = None

    @classmethod
    def default(cls) -> Paths:
        """`BUILDER_CACHE` and `BUILDER_STATE`, else the user's folders by the platform's conventions."""
        from platformdirs import user_cache_path, user_state_path

        cache = _chosen("BUILDER_CACHE") or user_cache_path("builder", appauthor=False)
        return cls(cache, _chosen("BUILDER_STATE") or user_state_path("builder", appauthor=False))

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
    def ledger(self) -> Path:
        """The file of what was built, judged and adopted; its folder is made."""
        return self._kept("", "the ledger") / "ledger.sqlite"

    @property
    def benches(self) -> Path:
        """What was measured, one record per comparison."""
        return self._kept("benches", "benches")

    @property
    def soaks(self) -> Path:
        """What was seen under load, one record per soak."""
        return self._kept("soaks", "soaks")

    @property
    def adoptions(self) -> Path:
        """What adoption files held and are to hold, by digest."""
        return self._kept("adoptions", "adoption files")

    def _kept(self, name: str, what: str) -> Path:
        folder = (self.state or self.cache / "state") / name
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise MachineError(
                f"The folder {folder} of {what} cannot be used: {error.strerror}.",
                "Set BUILDER_STATE to a folder that can be written to.",
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
    def patches(self) -> Path:
        """What became of patch queues on trees, and queues that are being refreshed."""
        return self._made("patches")

    @property
    def bases(self) -> Path:
        """What base images are made of."""
        return self._made("bases")

    @property
    def images(self) -> Path:
        """IDs of the images that were built, one file per plan."""
        return self._made("images")

    @property
    def versions(self) -> Path:
        """What images said of themselves when they were asked, one file per image ID."""
        return self._made("versions")

    @property
    def models(self) -> Path:
        """Models that were made on the spot."""
        return self._made("models")

    @property
    def locks(self) -> Path:
        """Files that processes hold while they make what no two may make at once."""
        return self._made("locks")

    @property
    def logs(self) -> Path:
        """One folder per run."""
        return self._made("logs")


def _chosen(variable: str) -> Path | None:
    """The folder that a variable of the environment names; None where it names none."""
    chosen = os.environ.get(variable)
    return Path(chosen).expanduser().absolute() if chosen else None

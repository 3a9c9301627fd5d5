"""Programs out of Debian's packages, for tests: the one that is installed, else taken out of its package."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from builder.paths import Paths
from builder.staging import exclusive, staged

_RELEASES = ("/trixie", "")
"""Where a package is taken from: the release that lends what Debian 12 lacks, else whatever apt takes."""


def packaged(package: str, path: str) -> Path:
    """A program by its path in a package.

    Where the package cannot be had the test is skipped.
    """
    if found := shutil.which(Path(path).name):
        return Path(found)
    place = Paths.default().cache / "test-programs"
    place.mkdir(parents=True, exist_ok=True)
    kept = place / Path(path).name
    with exclusive(place / "lock", lambda _: None):
        if not kept.exists() and not any(_take(package, path, kept, release) for release in _RELEASES):
            pytest.skip(f"the package {package} with {path} cannot be had from here")
    return kept


def _take(package: str, path: str, kept: Path, release: str) -> bool:
    with staged(kept.parent) as folder:
        command = ["apt-get", "download", f"{package}{release}"]
        got = subprocess.run(command, cwd=folder, capture_output=True, timeout=180, check=False)
        packages = list(folder.glob("*.deb"))
        if got.returncode or not packages:
            return False
        subprocess.run(["dpkg-deb", "-x", packages[0], folder / "tree"], timeout=120, check=True)
        if not (folder / "tree" / path).is_file():
            return False
        (folder / "tree" / path).rename(kept)
        return True

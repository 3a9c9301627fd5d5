"""Versions as engines, drivers and their packages spell them."""

from __future__ import annotations

import re

from packaging.version import Version

_RELEASE = re.compile(r"\d+(?:\.\d+)*")

MINIMUM_BUILDX = Version("0.13")
"""The first with `--progress=rawjson`."""
MINIMUM_ENGINE = Version("23.0")
"""The first whose BuildKit knows `COPY --link` without a frontend from a registry; nothing is built without."""


def release_of(text: str | None) -> Version | None:
    """The release number in a version such as `v0.13.1+ds1` or `26.1.5-0ubuntu1~24.04`; None where there is none."""
    match = _RELEASE.search(text or "")
    return Version(match[0]) if match else None


def reaches(text: str | None, minimum: Version) -> bool:
    """Whether a version is at least the minimum; what cannot be read is not."""
    release = release_of(text)
    return release is not None and release >= minimum

"""Files that hold credentials, by their names."""

from __future__ import annotations

import re

_FILES = re.compile(
    r"/(id_(rsa|dsa|ecdsa|ed25519)|\.netrc|\.git-credentials|\.pypirc|\.npmrc|\.pgpass)$"
    r"|/\.aws/credentials$|/\.docker/config\.json$|/\.ssh/(?!known_hosts|authorized_keys|config$).+|/\.kube/config$"
    r"|/\.(cache/)?huggingface/token$|/\.env$|/etc/apt/auth\.conf(\.d/.+)?$|/run/secrets/.+"
)


def is_kept_in(path: str) -> bool:
    """Whether credentials are what a file of this name is for."""
    return bool(_FILES.search(path))

"""How secrets look: tokens that can be told by their form, private keys, addresses with a password in them."""

from __future__ import annotations

import re
from typing import IO

from builder.process import credentials_in

_TOKENS = re.compile(
    r"(?<![A-Za-z0-9])(gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}|hf_[A-Za-z0-9]{20,}"
    r"|AKIA[0-9A-Z]{16}|xox[abpr]-[\w-]{10,}|pypi-[\w-]{30,}|npm_[A-Za-z0-9]{30,}|dckr_pat_[\w-]{20,}"
    r"|sk-(?=[\w-]*\d)[\w-]{20,}|nvapi-[\w-]{30,})|-----BEGIN [A-Z ]*PRIVATE KEY-----"
)
"""Tokens of services, and private keys."""
_ADDRESS = re.compile(r"\b[a-z][a-z0-9+.-]{1,15}://[^\s'\"<>`]+", re.IGNORECASE)
_PLACEHOLDERS = re.compile(r"[<>{}$*\[\]]|x{3,}|\b(user|username|me|you)(name)?:(pass|password|passwd|token|secret)\b")
"""What stands in examples and templates where a secret would be."""


_PIECE = 1 << 20
_OVERLAP = 1 << 14
"""Bytes that are looked at with the piece before and the one after: more than any secret that is looked for has."""


def is_secret_in(stream: IO[bytes], start: bytes = b"") -> bool:
    """Whether a file has a secret in it; it is read in pieces that overlap, as far as the first one.

    Args:
        start: what was read of it already.
    """
    held = start
    while piece := stream.read(_PIECE):
        whole = held + piece
        if holds_secret(whole.decode(errors="replace")):
            return True
        held = whole[-_OVERLAP:]
    return False


def holds_secret(text: str) -> bool:
    """Whether a text has a secret in it."""
    if _TOKENS.search(text):
        return True
    addresses = (found[0] for found in _ADDRESS.finditer(text) if "@" in found[0])
    return any(":" in credentials_in(one) and not _PLACEHOLDERS.search(credentials_in(one)) for one in addresses)

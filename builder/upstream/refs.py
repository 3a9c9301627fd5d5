"""Names of tags, branches and commits, before any repository is asked."""

from __future__ import annotations

import difflib
import re

from builder.errors import UsageError
from builder.upstream.revision import BUILD_TAG, RELEASE_TAG, UNKNOWN_BUILD_NUMBERS

LATEST = "latest"
TIP = "tip"
"""Words that stand for a commit: what there is to take, and the newest one of the branch."""
_FULL_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_BAD_IN_REF = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|/\.|\.lock(?:/|$)")


def require_ref(ref: str) -> None:
    """Refuse what git would not accept as a name, before it reaches a command.

    Raises:
        UsageError: it is not a name by the rules of `git check-ref-format`.
    """
    if not is_ref_name(ref):
        raise UsageError(f"{ref!r} cannot be the name of a tag, a branch or a commit.", "Use e.g. `latest` or b10991.")


def is_ref_name(text: str) -> bool:
    """Whether `git check-ref-format --allow-onelevel` accepts the name, and no command takes it for an option."""
    if not text or text == "@" or text.startswith(("-", "/", ".")) or text.endswith(("/", ".")):
        return False
    return not _BAD_IN_REF.search(text) and text.isprintable()


def is_full_commit(ref: str) -> bool:
    """Whether it is a whole object name."""
    return bool(_FULL_COMMIT.fullmatch(ref))


def newest_tag(tags: list[str]) -> str | None:
    """The newest `bNNNN` by number, else the newest `vX.Y.Z` by version."""
    numbers = [int(match[1]) for tag in tags if (match := BUILD_TAG.fullmatch(tag))]
    numbers = [number for number in numbers if number not in UNKNOWN_BUILD_NUMBERS]
    if numbers:
        return next(tag for tag in tags if BUILD_TAG.fullmatch(tag) and int(tag[1:]) == max(numbers))
    release = newest_release(tags)
    return f"v{release}" if release else None


def newest_release(tags: list[str]) -> str | None:
    """The newest version among `vX.Y.Z` tags, without the `v`."""
    from packaging.version import Version

    return max((match[1] for tag in tags if (match := RELEASE_TAG.fullmatch(tag))), key=Version, default=None)


def nearest(ref: str, names: list[str], count: int = 3) -> list[str]:
    """Names that a person may have meant: build tags that begin so, then by number; others by spelling."""
    if wanted := BUILD_TAG.fullmatch(ref):
        tags = [name for name in names if BUILD_TAG.fullmatch(name)]
        if tags:
            return sorted(tags, key=lambda tag: (not tag.startswith(ref), abs(int(tag[1:]) - int(wanted[1]))))[:count]
    return difflib.get_close_matches(ref, names, n=count)

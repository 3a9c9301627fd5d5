"""The newest upstream build that is known without asking the network."""

from __future__ import annotations

from pathlib import Path

from builder.errors import BuilderError, MachineError
from builder.process import Runner
from builder.upstream.revision import BUILD_TAG

_PATIENCE = 5.0
"""Seconds for git to list tags."""


def newest_known_build(mirrors: Path, repository: str, runner: Runner) -> int | None:
    """The highest `bNNNN` tag of what is mirrored of upstream; None where nothing is.

    Args:
        mirrors: folder of the mirrors.
        repository: URL or path of upstream, as configured.
    """
    folder = _folder(mirrors, repository)
    if folder is None:
        return None
    try:
        listed = runner.run(
            ["git", f"--git-dir={folder}", "for-each-ref", "--format=%(refname:lstrip=2)", "refs/tags/b*"],
            timeout=_PATIENCE,
        )
    except MachineError:
        return None
    numbers = (BUILD_TAG.fullmatch(tag) for tag in listed.stdout.split())
    return max((int(number[1]) for number in numbers if number), default=None)


def _folder(mirrors: Path, repository: str) -> Path | None:
    from builder.upstream.origin import GitFolder, GitUrl, parse

    try:
        origin = parse(repository)
    except BuilderError:
        return None
    if isinstance(origin, GitFolder):
        return origin.path
    if not isinstance(origin, GitUrl) or next(mirrors.iterdir(), None) is None:
        return None
    from builder.upstream.remote import folder_name

    folder = mirrors / folder_name(origin)
    return folder if folder.is_dir() else None

"""A result in other forms, as files that are there whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from builder.errors import UsageError

Json = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]
Markdown = Annotated[Path | None, typer.Option(help="Also write it as Markdown, for a pull request.")]
Html = Annotated[Path | None, typer.Option(help="Also write it as one page with plots.")]
Prometheus = Annotated[Path | None, typer.Option(help="Also write the figures in Prometheus' text format.")]
Record = Annotated[str, typer.Argument(help="A record's file, its name, or how that begins; else the newest.")]
LATEST = "latest"
"""The word for the newest record."""
SCHEMA = 1
"""Version of the document; a field that is new does not change it, one that is gone or means something else does."""


def require_places(files: Iterable[Path | None]) -> None:
    """See that every file can be written, before anything is measured for it; None is none.

    Raises:
        UsageError: its folder is not there or may not be written to, or it is a folder.
    """
    for file in filter(None, files):
        folder = file.absolute().parent
        if file.is_dir():
            raise UsageError(f"{file} is a folder.", "Name a file in it.")
        if not folder.is_dir():
            raise UsageError(f"There is no folder {folder}.", "Make it, or name another.")
        if not os.access(folder, os.W_OK):
            raise UsageError(f"The folder {folder} may not be written to.", "Check its permissions, or name another.")


def publish(file: Path, text: str) -> None:
    """Write what others are to read, so that nobody ever sees half of it.

    Raises:
        MachineError: the disk is full or may not be written to.
    """
    from builder.staging import write_whole

    write_whole(file, text.encode())
    file.chmod(0o644)

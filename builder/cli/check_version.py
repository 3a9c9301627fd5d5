from __future__ import annotations

import typer


def command(context: typer.Context) -> None:
    """To be written."""

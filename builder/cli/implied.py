"""Groups of commands of which one is meant where a person names none: `builder bench A` is `builder bench run A`."""

from __future__ import annotations

from typing import Any

from typer.core import TyperGroup

RUN = "run"
"""The command that may be left out."""


class ImpliedRun(TyperGroup):
    """Takes what is no command of its own, such as an image, for what is to be run."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the command there that a person leaves out."""
        if args and args[0] not in (*self.commands, *ctx.help_option_names):
            args = [RUN, *args]
        return super().parse_args(ctx, args)

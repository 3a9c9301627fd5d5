"""The commands that lead on from the state of things; they look at the same as the command that names them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import typer

from builder.cli.upstream import common

if TYPE_CHECKING:
    from collections.abc import Sequence


class Hints(NamedTuple):
    """Commands that a person may copy.

    Attributes:
        same: the options that were given, as every one of them takes them.
        origin: the one of them that says where upstream is.
        ref: the pin that was given; empty if none was.
    """

    same: str
    origin: str
    ref: str

    @classmethod
    def of(cls, context: typer.Context, ref: str | None) -> Hints:
        """What leads on from a command that was given these options."""
        import shlex

        same, origin = common.repeated(context, "channel", "cooldown"), common.repeated(context)
        return cls(same, origin, shlex.quote(ref) if ref else "")

    @property
    def log(self) -> str:
        """What lies between what is adopted and what would be taken."""
        return f"builder upstream log{f' ..{self.ref}' if self.ref else ''}{self.same}"

    @property
    def json(self) -> str:
        """The same state as a document."""
        return f"builder upstream --json{self.same}{f' --ref {self.ref}' if self.ref else ''}"

    def listing(self, count: int) -> str:
        """So many of the newest builds."""
        return f"builder upstream list -n {count}{self.same}"

    def accepting(self, names: Sequence[str]) -> str:
        """Following upstream with these names."""
        return f"builder upstream accept {' '.join(dict.fromkeys(names))}{self.origin}"

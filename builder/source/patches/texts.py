"""Lines of the files of a tree, and where hunks fit into them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from builder.source.patches.bench import Bench


@dataclass(frozen=True)
class Texts:
    """The files of one tree as lines, read when they are first wanted."""

    bench: Bench
    tree: str
    _known: dict[str, list[bytes] | None] = field(default_factory=dict)

    def lines(self, path: str) -> list[bytes] | None:
        """None where there is no such file."""
        if path not in self._known:
            entry = self.bench.entries(self.tree, [path]).get(path)
            self._known[path] = self.bench.content(entry.blob).split(b"\n") if entry else None
        return self._known[path]

    def places(self, path: str, wanted: Sequence[bytes]) -> int:
        """At how many places of a file some lines are; nothing is everywhere, and so at none that can be told."""
        lines = self.lines(path)
        if not wanted or lines is None:
            return 0
        first, count = wanted[0], len(wanted)
        return sum(line == first and tuple(lines[at : at + count]) == wanted for at, line in enumerate(lines))

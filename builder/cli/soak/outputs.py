"""A soak's record in other forms."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from builder.cli.forms import publish, require_places

if TYPE_CHECKING:
    from builder.performance.soak.record import SoakRecord


@dataclass(frozen=True)
class Outputs:
    """What is written beside what is shown."""

    markdown: Path | None = None
    html: Path | None = None
    prometheus: Path | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        """Those that were asked for."""
        return tuple(filter(None, (self.markdown, self.html, self.prometheus)))

    def check(self) -> None:
        """See that every file can be written, before the load begins.

        Raises:
            UsageError: its folder is not there or may not be written to, or it is a folder.
        """
        require_places(self.files)

    def write(self, record: SoakRecord) -> None:
        """Write what was asked for.

        Raises:
            MachineError: the disk is full or may not be written to.
        """
        if self.markdown:
            from builder.report.markdown import soak_markdown

            publish(self.markdown, soak_markdown(record))
        if self.html:
            from builder.report.page import page

            publish(self.html, page(soak=record))
        if self.prometheus:
            from builder.report.prometheus import write_exposition

            write_exposition(self.prometheus, soak=record)

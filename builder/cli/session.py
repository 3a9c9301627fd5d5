"""What every command needs: configuration, folders, a voice, a way to run programs."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from builder.console import Reporter
from builder.documents import Documents
from builder.paths import Paths

if TYPE_CHECKING:
    from builder.config import Config
    from builder.process import Runner


_KEPT_RUNS = 200


@dataclass(frozen=True)
class GlobalOptions:
    """Options that stand before the command."""

    config: Path | None
    verbose: bool
    documents: Documents = field(default_factory=Documents)


class Session:
    """One run of the program; each part is made when it is first needed."""

    def __init__(self, options: GlobalOptions, flags: Mapping[str, object]) -> None:
        self._options = options
        self._flags = flags
        self.reporter = Reporter(verbose=options.verbose, documents=options.documents)

    @classmethod
    def of(cls, context: typer.Context, flags: Mapping[str, object] | None = None) -> Session:
        """The session of a command.

        Args:
            flags: values by configuration key, such as `{"upstream.ref": ref}`; None values were not given.
        """
        options = context.find_object(GlobalOptions) or GlobalOptions(None, verbose=False)
        return cls(options, flags or {})

    @cached_property
    def config(self) -> Config:
        """What holds, flags included."""
        from builder.config import load

        return load(self._options.config, self._flags)

    @cached_property
    def paths(self) -> Paths:
        """Where things are kept."""
        return Paths.default()

    @cached_property
    def logs(self) -> Path:
        """Folder of this run's logs, for its owner alone; of earlier runs the newest are kept."""
        runs = self.paths.logs
        for old in sorted(runs.iterdir())[:-_KEPT_RUNS]:
            shutil.rmtree(old, ignore_errors=True)
        started = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
        folder = runs / f"{started}-{os.getpid()}"
        folder.mkdir(mode=0o700, exist_ok=True)
        return folder

    @cached_property
    def runner(self) -> Runner:
        """Runs programs, each recorded in `commands.sh` of this run's logs."""
        from builder.process import Runner

        return Runner(self.logs / "commands.sh", self.reporter.detail, self.reporter.warning)

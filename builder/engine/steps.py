"""The steps of a set-up. Each says what it will do before it does it, and may be taken twice."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from builder.engine import daemon, packages
from builder.engine.client import Engine
from builder.process import Runner, as_shell_line


@dataclass
class Tools:
    """What steps work with.

    Attributes:
        complaints: what apt said when its lists were refreshed; shown if an installation fails.
    """

    runner: Runner
    engine: Engine
    complaints: tuple[str, ...] = ()


class Step(Protocol):
    """One thing that is done to the machine."""

    @property
    def title(self) -> str:
        """What is done, in one line."""

    @property
    def details(self) -> tuple[str, ...]:
        """The commands that are run, or the lines that are written."""

    def take(self, tools: Tools) -> None:
        """Do it.

        Raises:
            MachineError: it could not be done.
        """


@dataclass(frozen=True)
class WriteFile:
    """Write a file, whole or not at all."""

    path: Path
    text: str
    purpose: str

    @property
    def title(self) -> str:
        """What is done, in one line."""
        return f"Write {self.path}: {self.purpose}"

    @property
    def details(self) -> tuple[str, ...]:
        """The lines that are written."""
        return tuple(self.text.rstrip("\n").split("\n"))

    def take(self, tools: Tools) -> None:  # noqa: ARG002
        """Write it under another name, then move it there."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        draft = self.path.with_name(f".{self.path.name}.draft")
        draft.write_text(self.text, encoding="utf-8")
        draft.replace(self.path)


@dataclass(frozen=True)
class Mend:
    """Let dpkg finish what it was cut off from."""

    title = "Finish the package installation that was interrupted before"
    details = (as_shell_line(packages.MEND),)

    def take(self, tools: Tools) -> None:
        """Do it."""
        packages.mend(tools.runner)


@dataclass(frozen=True)
class Refresh:
    """Refresh apt's lists."""

    title = "Refresh apt's package lists"
    details = (as_shell_line(packages.UPDATE),)

    def take(self, tools: Tools) -> None:
        """Do it, and keep what apt complains of."""
        tools.complaints = packages.update(tools.runner)


@dataclass(frozen=True)
class Install:
    """Install packages.

    Attributes:
        optional: installed too where apt knows them.
    """

    names: tuple[str, ...]
    optional: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """What is done, in one line."""
        optional = f" (and {', '.join(self.optional)} where there is one)" if self.optional else ""
        return f"Install {', '.join(self.names)}{optional}"

    @property
    def details(self) -> tuple[str, ...]:
        """The command that is run."""
        return (as_shell_line([*packages.INSTALL, *self.names, *self.optional]),)

    def take(self, tools: Tools) -> None:
        """Do it."""
        known = packages.candidates(tools.runner, self.optional) if self.optional else {}
        packages.install_known(tools.runner, (*self.names, *known), tools.complaints)


@dataclass(frozen=True)
class StopDaemon:
    """End the old daemon, which no service manager would end."""

    title = "Stop the old Docker daemon (no container runs on it)"
    details = (f"kill $(cat {daemon.PID_FILE})",)

    def take(self, tools: Tools) -> None:  # noqa: ARG002
        """Do it."""
        daemon.stop()


@dataclass(frozen=True)
class StartDaemon:
    """Start the daemon and wait until it answers."""

    systemd: bool

    @property
    def title(self) -> str:
        """What is done, in one line."""
        how = "with systemd, now and at every boot" if self.systemd else f"detached, log in {daemon.LOG}"
        return f"Start the Docker daemon ({how}) and wait until it answers"

    @property
    def details(self) -> tuple[str, ...]:
        """The command that is run."""
        return (as_shell_line(daemon.WITH_SYSTEMD) if self.systemd else f"setsid dockerd >>{daemon.LOG} 2>&1 &",)

    def take(self, tools: Tools) -> None:
        """Do it; a daemon that the installation has started already is left alone."""
        if not (daemon.answers(tools.engine) and not self.systemd):
            daemon.start(tools.runner, tools.engine, systemd=self.systemd)

"""Memory and processor time of a container, as the kernel counts them for its control group."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from builder.engine.client import Engine

_ROOT = Path("/sys/fs/cgroup")
_PROCESSES = Path("/proc")
_NANO, _MICRO = 1e9, 1e6


@dataclass(frozen=True)
class Usage:
    """What a container has taken. What could not be known is None.

    Attributes:
        memory: bytes that it holds, without the files in memory that nobody has asked for lately: what `docker stats`
            shows, and nearly what a memory limit counts.
        processor: seconds of processor time since it started.
    """

    memory: int | None = None
    processor: float | None = None


@dataclass(frozen=True)
class _Group:
    """Where the kernel counts for a container: one folder in the second version, one for each thing in the first."""

    memory: Path | None
    processor: Path | None


class Meter:
    """Reads what a container takes, which costs it nothing.

    Args:
        container: its name; it has to run.
        engine: on this machine; of a container elsewhere nothing is known.

    Attributes:
        process: ID of its first process on this machine; None where it does not run, or is not known.
    """

    def __init__(self, container: str, engine: Engine) -> None:
        done = engine.ask("container", "inspect", "--format", "{{.State.Pid}} {{.Id}}", container)
        pid, _, identity = done.stdout.strip().partition(" ")
        known = not done.returncode and engine.is_local and pid.isdecimal() and pid != "0"
        self.process = int(pid) if known else None
        self._group = _find(int(pid), identity) if known else _Group(None, None)

    def read(self) -> Usage:
        """What it takes now."""
        memory, processor = self._group.memory, self._group.processor
        return Usage(
            _memory(memory) if memory else None,
            _processor(processor) if processor else None,
        )


def parse_groups(text: str) -> Mapping[str, str]:
    """Paths by the name of what is counted, in /proc/PID/cgroup; that of the second version has an empty name."""
    rows = (line.split(":", 2) for line in text.splitlines())
    return {name: row[2] for row in rows if len(row) == 3 for name in row[1].split(",")}  # noqa: PLR2004


def parse_figures(text: str) -> Mapping[str, int]:
    """Numbers by name in memory.stat or cpu.stat; lines of another shape are passed over."""
    rows = (line.split() for line in text.splitlines())
    return {row[0]: int(row[1]) for row in rows if len(row) == 2 and row[1].isdecimal()}  # noqa: PLR2004


def _find(pid: int, identity: str) -> _Group:
    """The folders of a process; another process than the container's may have that number where we are in one."""
    try:
        groups = parse_groups((_PROCESSES / str(pid) / "cgroup").read_text(encoding="utf-8"))
    except OSError:
        return _Group(None, None)
    return _Group(
        _folder(groups, "memory", "memory.current", identity), _folder(groups, "cpuacct", "cpu.stat", identity)
    )


def _folder(groups: Mapping[str, str], name: str, mark: str, identity: str) -> Path | None:
    """The first version's folder, else the second's; on machines with both, the second counts nothing."""
    first = _ROOT / name / groups[name].lstrip("/") if name in groups else None
    second = _ROOT / groups[""].lstrip("/") if "" in groups else None
    if identity and first and first.is_dir() and identity in str(first):
        return first
    return second if identity and second and identity in str(second) and (second / mark).exists() else None


def _memory(folder: Path) -> int | None:
    with suppress(OSError, ValueError):
        current = next(_numbers(folder, "memory.current", "memory.usage_in_bytes"), None)
        figures = parse_figures((folder / "memory.stat").read_text(encoding="utf-8"))
        idle = figures.get("total_inactive_file", figures.get("inactive_file", 0))
        return None if current is None else max(0, int(current) - idle)
    return None


def _processor(folder: Path) -> float | None:
    with suppress(OSError, ValueError):
        if (usage := next(_numbers(folder, "cpuacct.usage"), None)) is not None:
            return usage / _NANO
        microseconds = parse_figures((folder / "cpu.stat").read_text(encoding="utf-8")).get("usage_usec")
        return None if microseconds is None else microseconds / _MICRO
    return None


def _numbers(folder: Path, *names: str) -> Iterator[float]:
    for name in names:
        if (folder / name).exists():
            yield float((folder / name).read_text(encoding="utf-8"))

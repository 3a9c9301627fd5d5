"""What a llama-server's log says: where it computes, what became of CUDA graphs, and what it complains of.

The lines are those of upstream from the summer of 2024 on. Since May 2026 (upstream's #23021) most of them are written
only where a server is told to say more.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from builder.server.harmless import HARMLESS, Need
from builder.server.quoting import SIGN, Quotations
from builder.server.version import plain_lines

_LINE = 4096
"""Characters of one line that are read; the rest of it is passed over."""
_KEPT = 12
"""Lines that are kept of one kind."""
_SHOWN = 240
_OFFLOADED = re.compile(r"\boffloaded (?P<there>\d{1,5})/(?P<all>\d{1,5}) layers to GPU")
_BUFFER = re.compile(
    r"\b(?P<device>[A-Za-z]\w*) +(?:(?P<use>model|KV|compute|output|RS) +)?buffer size += +(?P<size>[\d.]+) MiB"
)
_FEATURES = re.compile(r"\bCUDA : (?P<features>(?:\w+ = [\w,]+ \| ?)+)")
_DEVICES = re.compile(r"\bggml_cuda_init: found (?P<count>\d{1,4}) (?:CUDA|ROCm) devices")
_GRAPHS_BUILT = re.compile(r"\bUSE_GRAPHS = 1\b")
_WARM = re.compile(r"\bCUDA graph warmup complete\b")
_REUSED = re.compile(r"\bCUDA Graph id \d+ reused\b")
_DISABLED = re.compile(r"\bdisabling CUDA graphs due to (?P<why>.{1,80})")
_BUILD = re.compile(
    r"\bbuild(?:: | )(?P<number>\d{1,9}) \((?P<commit>[0-9a-f]{4,40}|unknown)\)"
    r'|\bbuild=(?P<old_number>\d{1,9}) commit="(?P<old_commit>[0-9a-f]{4,40}|unknown)"'
)
_SEVERE = re.compile(r"^(?:\d[\d.]* )?E |^ERR\b|\"level\":\"ERR")
_COMPLAINT = re.compile(
    r"\berrors?\b|\bfail(?:ed|ure|s)?\b|\bfall(?:s|ing)?[ -]?back\b|\bnot supported\b|\bunsupported\b|\bno usable GPU\b"
    r"|\bsegmentation fault\b|\bGGML_ASSERT\b|\bout of memory\b",
    re.IGNORECASE,
)
_TELLING = re.compile(
    r"offloaded|buffer size|CUDA|build|\bE |\bERR\b|error|fail|fall|not supported|unsupported|no usable|segmentation"
    r"|GGML_ASSERT|out of memory",
    re.IGNORECASE,
)
"""What each line that is read closely holds; the others, nearly all, are passed over quickly."""


@dataclass(frozen=True)
class Buffer:
    """Memory that was set aside.

    Attributes:
        device: such as `CUDA0`, `CPU`, `CPU_Mapped` or `CUDA_Host`.
        use: `model`, `KV`, `compute`, `output` or `RS`.
        size: MiB.
    """

    device: str
    use: str
    size: float
    line: str

    @property
    def on_cuda(self) -> bool:
        """Whether it is on an NVIDIA GPU; `CUDA_Host` is memory of the machine."""
        return bool(re.fullmatch(r"CUDA\d+", self.device))


@dataclass(frozen=True)
class LogFacts:
    """What a log says.

    Attributes:
        offloaded: layers on the GPU and layers that there are; None where it was not said.
        buffers: the largest that was set aside on each device for each use.
        cuda: the line that names the CUDA library's features; empty where there is none.
        graphs_built: the CUDA library says that it was built with graphs.
        warmed: how often a CUDA graph was warmed up.
        reused: how often one was used again.
        disabled: reasons for which graphs were given up.
        build: number and commit; None where it was not said.
        complaints: lines that tell of an error or of something that does not work, harmless ones left out.
        excused: how many lines look like a complaint and are harmless.
        last: its last lines.
        devices: how many GPUs the CUDA library found; None where it did not say.
        lines: how many there are.
    """

    offloaded: tuple[int, int] | None = None
    buffers: tuple[Buffer, ...] = ()
    cuda: str = ""
    graphs_built: bool = False
    warmed: int = 0
    reused: int = 0
    disabled: tuple[str, ...] = ()
    build: tuple[int, str] | None = None
    complaints: tuple[str, ...] = ()
    excused: int = 0
    last: tuple[str, ...] = ()
    devices: int | None = None
    lines: int = 0

    @property
    def too_old_for_graphs(self) -> bool:
        """Whether graphs were given up for the GPU itself, which is one before Ampere."""
        return any("GPU architecture" in reason for reason in self.disabled)

    def on(self, use: str) -> tuple[Buffer, ...]:
        """Buffers for one use that are not empty."""
        return tuple(buffer for buffer in self.buffers if buffer.use == use and buffer.size > 0)


def read_log(file: Path, needs: Collection[Need] = ()) -> LogFacts:
    """Read a log; its size does not matter.

    Args:
        needs: what the server is for.
    """
    try:
        with file.open("rb") as stream:
            return facts_of(_lines(iter(lambda: stream.readline(_LINE), b"")), needs)
    except FileNotFoundError:
        return LogFacts()


def facts_of(lines: Iterable[str], needs: Collection[Need] = ()) -> LogFacts:
    """What the lines of a log say."""
    reading = _Reading(needs)
    for line in lines:
        reading.take(line)
    return reading.facts


def _lines(chunks: Iterator[bytes]) -> Iterator[str]:
    inside = False
    for chunk in chunks:
        if not inside:
            yield chunk.decode(errors="replace")
        inside = not chunk.endswith(b"\n")


def _plain(line: str) -> str:
    return next(iter(plain_lines(line)), "")


@dataclass
class _Reading:
    needs: Collection[Need]
    offloaded: tuple[int, int] | None = None
    buffers: dict[tuple[str, str], Buffer] = field(default_factory=dict)
    cuda: str = ""
    warmed: int = 0
    reused: int = 0
    disabled: dict[str, None] = field(default_factory=dict)
    build: tuple[int, str] | None = None
    complaints: dict[str, None] = field(default_factory=dict)
    excused: int = 0
    last: deque[str] = field(default_factory=lambda: deque(maxlen=_KEPT))
    devices: int | None = None
    lines: int = 0
    quotations: Quotations = field(default_factory=Quotations)

    @property
    def facts(self) -> LogFacts:
        return LogFacts(
            offloaded=self.offloaded,
            buffers=tuple(self.buffers.values()),
            cuda=self.cuda,
            graphs_built=bool(_GRAPHS_BUILT.search(self.cuda)),
            warmed=self.warmed,
            reused=self.reused,
            disabled=tuple(self.disabled),
            build=self.build,
            complaints=tuple(self.complaints),
            excused=self.excused,
            last=tuple(line[:_SHOWN] for line in map(_plain, self.last) if line),
            devices=self.devices,
            lines=self.lines,
        )

    def take(self, raw: str) -> None:
        self.lines += 1
        self.last.append(raw)
        if self.quotations.inside or SIGN in raw:
            raw = self.quotations.own(_plain(raw))
        if not _TELLING.search(raw) or not (line := _plain(raw)):
            return
        self._place(line)
        self._graphs(line)
        if not self.build and (found := _BUILD.search(line)):
            self.build = (int(found["number"] or found["old_number"]), found["commit"] or found["old_commit"])
        if _SEVERE.search(line) or _COMPLAINT.search(line):
            self._complaint(line)

    def _place(self, line: str) -> None:
        if found := _OFFLOADED.search(line):
            self.offloaded = (int(found["there"]), int(found["all"]))
        elif found := _DEVICES.search(line):
            self.devices = int(found["count"])
        elif found := _BUFFER.search(line):
            self._buffer(Buffer(found["device"], found["use"] or "model", float(found["size"]), line[:_SHOWN]))

    def _buffer(self, buffer: Buffer) -> None:
        """The newest servers load a model twice: once to learn what it needs, with buffers of no size."""
        before = self.buffers.get((buffer.device, buffer.use))
        if before is None or buffer.size >= before.size:
            self.buffers[buffer.device, buffer.use] = buffer

    def _graphs(self, line: str) -> None:
        if found := _FEATURES.search(line):
            self.cuda = found[0][:_SHOWN]
        elif _WARM.search(line):
            self.warmed += 1
        elif _REUSED.search(line):
            self.reused += 1
        elif (found := _DISABLED.search(line)) and len(self.disabled) < _KEPT:
            self.disabled[found["why"]] = None

    def _complaint(self, line: str) -> None:
        for harmless in HARMLESS:
            if harmless.pattern.search(line) and (harmless.need is None or harmless.need in self.needs):
                self.excused += 1
                return
        if len(self.complaints) < _KEPT:
            self.complaints[line[:_SHOWN]] = None

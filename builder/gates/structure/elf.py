"""Programs and shared libraries, as the dynamic loader sees them; read with pyelftools."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import IO, TYPE_CHECKING

from builder.gates.structure.fatbin import SECTIONS, Code, FatBinaryError, read_section

if TYPE_CHECKING:
    from elftools.elf.gnuversions import GNUVersionSection, Version, VersionAuxiliary
    from elftools.elf.sections import Section
    from elftools.elf.segments import Segment

MAGIC = b"\x7fELF"
_COMPLAINTS = (
    AssertionError,
    AttributeError,
    LookupError,
    MemoryError,
    OverflowError,
    RecursionError,
    TypeError,
    ValueError,
)
"""What pyelftools raises besides its own errors where a file is not what it says."""
_MOST_VERSIONS = 10_000
_NAMES = ".dynstr"
"""Section with the names of what a binary offers to others and asks of them."""
_LAUNCH = b"cudaGraphLaunch\0"
_WEAK = 0x2
"""Flag of a version that need not be there (VER_FLG_WEAK)."""
_MACHINES = {
    "EM_X86_64": "x86-64",
    "EM_AARCH64": "AArch64",
    "EM_386": "x86",
    "EM_ARM": "ARM",
    "EM_PPC64": "POWER",
    "EM_RISCV": "RISC-V",
    "EM_S390": "S/390",
}


class DamagedBinary(Exception):
    """An ELF file that the loader could not use; the message is a clause."""


@dataclass(frozen=True)
class Binary:
    """A program or shared library.

    Attributes:
        bits: 32 or 64.
        machine: the processor it is for, such as `x86-64`.
        interpreter: the loader it asks for; None for a library or a static program.
        soname: what it calls itself; empty where it does not.
        needed: libraries it asks for, in order.
        rpath: folders of DT_RPATH as they are written.
        runpath: folders of DT_RUNPATH as they are written.
        requires: symbol versions that it asks for, by library.
        defines: symbol versions that it offers.
        code: GPU code in it, sorted, each once.
        code_unread: why its GPU code cannot be told, a clause; empty where it can.
        launches_graphs: it names the function of CUDA's runtime that launches a CUDA graph.
    """

    bits: int
    machine: str
    interpreter: str | None = None
    soname: str = ""
    needed: tuple[str, ...] = ()
    rpath: tuple[str, ...] = ()
    runpath: tuple[str, ...] = ()
    requires: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    defines: frozenset[str] = frozenset()
    code: tuple[Code, ...] = ()
    code_unread: str = ""
    launches_graphs: bool = False

    @property
    def kind(self) -> str:
        """What it is for, in words."""
        return f"{self.bits}-bit {self.machine}"

    def fits(self, other: Binary) -> bool:
        """Whether both can be in one process."""
        return (self.bits, self.machine) == (other.bits, other.machine)


def read_binary(file: IO[bytes], size: int) -> Binary:
    """Read an ELF file.

    Args:
        size: its bytes.

    Raises:
        DamagedBinary: it is cut off, or not what it should be.
    """
    from elftools.common.exceptions import ELFError

    try:
        return _read(file, size)
    except (ELFError, *_COMPLAINTS) as error:
        raise DamagedBinary("it is no whole ELF file") from error


def _read(file: IO[bytes], size: int) -> Binary:
    from elftools.elf.elffile import ELFFile

    elf = ELFFile(file)
    for segment in elf.iter_segments("PT_LOAD"):
        if segment["p_offset"] + segment["p_filesz"] > size:
            raise DamagedBinary("it is cut off: it ends before what is to be loaded of it")
    segments, sections = list(elf.iter_segments()), list(elf.iter_sections())
    if not sections:
        raise DamagedBinary("it has no sections, so that its symbol versions cannot be read")
    machine = elf["e_machine"]
    tags = list(_tags(segments))
    code, unread = _code(sections, file)
    return Binary(
        bits=elf.elfclass,
        machine=_MACHINES.get(machine, str(machine)),
        interpreter=next(_interpreters(segments), None),
        soname=next((value for tag, value in tags if tag == "DT_SONAME"), ""),
        needed=tuple(value for tag, value in tags if tag == "DT_NEEDED"),
        rpath=_folders(tags, "DT_RPATH"),
        runpath=_folders(tags, "DT_RUNPATH"),
        requires=_requires(sections),
        defines=frozenset(_defines(sections)),
        code=code,
        code_unread=unread,
        launches_graphs=any(one.name == _NAMES and _LAUNCH in one.data() for one in sections),
    )


def _interpreters(segments: Iterable[Segment]) -> Iterator[str]:
    from elftools.elf.segments import InterpSegment

    for segment in segments:
        if isinstance(segment, InterpSegment):
            yield segment.get_interp_name()


def _tags(segments: Iterable[Segment]) -> Iterator[tuple[str, str]]:
    from elftools.elf.dynamic import DynamicSegment

    attributes = {"DT_NEEDED": "needed", "DT_SONAME": "soname", "DT_RPATH": "rpath", "DT_RUNPATH": "runpath"}
    for segment in segments:
        if isinstance(segment, DynamicSegment):
            for tag in segment.iter_tags():
                if name := attributes.get(tag.entry.d_tag):
                    yield tag.entry.d_tag, getattr(tag, name)


def _folders(tags: Iterable[tuple[str, str]], wanted: str) -> tuple[str, ...]:
    return tuple(folder for tag, value in tags if tag == wanted for folder in value.split(":") if folder)


def _requires(sections: Iterable[Section]) -> Mapping[str, tuple[str, ...]]:
    from elftools.elf.gnuversions import GNUVerNeedSection

    found: dict[str, tuple[str, ...]] = {}
    for section in sections:
        if isinstance(section, GNUVerNeedSection):
            for library, versions in _listed(section):
                strict = tuple(sorted(str(version.name) for version in versions if not version["vna_flags"] & _WEAK))
                name = str(library.name)
                found[name] = (*found.get(name, ()), *strict)
    return found


def _defines(sections: Iterable[Section]) -> Iterator[str]:
    from elftools.elf.gnuversions import GNUVerDefSection

    for section in sections:
        if isinstance(section, GNUVerDefSection):
            for _, names in _listed(section):
                yield from (name.name for name in names[:1])


def _listed(section: GNUVersionSection) -> Iterator[tuple[Version, Sequence[VersionAuxiliary]]]:
    """The versions of a section; damage may make a list that leads back to itself, with billions of entries.

    Raises:
        DamagedBinary: there are more entries than any library has.
    """
    room = _MOST_VERSIONS
    for version, entries in section.iter_versions():
        listed = list(islice(entries, room))
        room -= len(listed) + 1
        if room <= 0:
            raise DamagedBinary("its list of symbol versions has no end")
        yield version, listed


def _code(sections: Iterable[Section], file: IO[bytes]) -> tuple[tuple[Code, ...], str]:
    found: set[Code] = set()
    try:
        for section in sections:
            if section.name in SECTIONS and section["sh_type"] != "SHT_NOBITS":
                found.update(read_section(file, section["sh_offset"], section["sh_size"]))
    except FatBinaryError as error:
        return tuple(sorted(found)), str(error)
    return tuple(sorted(found)), ""

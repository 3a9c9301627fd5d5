"""Where the dynamic loader of the GNU C library finds a library: ld.so(8), applied to an image's files.

In order: DT_RPATH of who asks and of those for whom it was loaded, each where it has no DT_RUNPATH; LD_LIBRARY_PATH;
DT_RUNPATH of who asks; the loader's cache; the default folders. A file for another processor is passed over.
/etc/ld.so.conf is read by ldconfig alone, which writes the cache: what is only in a folder that it names is not found.
"""

from __future__ import annotations

import posixpath
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from builder.gates.structure.elf import Binary
from builder.gates.structure.files import Files
from builder.gates.structure.search_path import expand, folders_of_configuration, read_cache

_MULTIARCH = {"x86-64": "x86_64-linux-gnu", "AArch64": "aarch64-linux-gnu", "x86": "i386-linux-gnu"}
_CACHE = "/etc/ld.so.cache"


@dataclass(frozen=True)
class Loaded:
    """A binary in a process.

    Attributes:
        path: the name under which it was found.
        chain: the binaries for which it was loaded, the nearest first, itself included.
    """

    path: str
    binary: Binary
    chain: tuple[Loaded, ...] = ()

    @property
    def origin(self) -> str:
        """What `$ORIGIN` stands for."""
        return posixpath.dirname(self.path)


@dataclass(frozen=True, order=True)
class Missing:
    """A library that is not found.

    Attributes:
        name: as it is asked for.
        by: path of the binary that asks.
        why: clause about what is there instead; empty where nothing is.
    """

    name: str
    by: str
    why: str


@dataclass(frozen=True, order=True)
class Lacking:
    """A symbol version that the library found does not define."""

    version: str
    library: str
    by: str


@dataclass(frozen=True)
class Process:
    """What starting or opening one binary loads.

    Attributes:
        paths: where each library was found, by the name it was asked for.
    """

    paths: Mapping[str, str]
    missing: tuple[Missing, ...]
    lacking: tuple[Lacking, ...]


class Loader:
    """Finds libraries in an image.

    Args:
        library_path: LD_LIBRARY_PATH of the image.
        working_folder: what an empty element of that stands for.
    """

    def __init__(self, files: Files, library_path: str = "", working_folder: str = "/") -> None:
        self._files = files
        elements = library_path.replace(";", ":").split(":") if library_path else []
        self._library_path = tuple(element or working_folder for element in elements)

    def load(self, path: str) -> Process:
        """Load a binary by itself, and all that it needs, breadth first as the loader does.

        Raises:
            KeyError: it was not looked into.
        """
        found = self._files.find(path)
        first = Loaded(path, self._files.binaries[found.path if found else path])
        known: dict[str, Loaded] = {first.binary.soname or posixpath.basename(path): first}
        paths: dict[str, str] = {}
        missing: list[Missing] = []
        waiting = deque([first])
        loaded = [first]
        while waiting:
            asking = waiting.popleft()
            for name in asking.binary.needed:
                if name in known:
                    continue
                library = self._find(name, asking)
                if library is None:
                    missing.append(Missing(name, asking.path, self._reason(name, asking)))
                    continue
                known[name] = library
                known.setdefault(library.binary.soname, library)
                paths[name] = library.path
                waiting.append(library)
                loaded.append(library)
        return Process(paths, tuple(missing), tuple(_lacking(loaded, known)))

    @property
    def folders(self) -> tuple[str, ...]:
        """Where libraries of any binary are looked for, beside the folders that a binary names itself."""
        names = (*(f"lib/{multiarch}" for multiarch in _MULTIARCH.values()), "lib64", "lib")
        return (*self._library_path, *self._configured, *(f"{root}/{name}" for name in names for root in ("", "/usr")))

    def _find(self, name: str, asking: Loaded) -> Loaded | None:
        for place in self._places(name, asking):
            binary = self._binary(place)
            if binary and binary.fits(asking.binary):
                return Loaded(place, binary, (asking, *asking.chain))
        return None

    def _places(self, name: str, asking: Loaded) -> Iterator[str]:
        if "/" in name:
            yield name
            return
        for folder in self._folders(asking):
            yield posixpath.join(folder, name)
        yield from self._cache.get(name, ())
        for folder in _default_folders(asking.binary):
            yield posixpath.join(folder, name)

    def _folders(self, asking: Loaded) -> Iterator[str]:
        if not asking.binary.runpath:
            for one in (asking, *asking.chain):
                if not one.binary.runpath:
                    yield from _expanded(one.binary.rpath, one)
        yield from _expanded(self._library_path, asking)
        yield from _expanded(asking.binary.runpath, asking)

    def _binary(self, path: str) -> Binary | None:
        found = self._files.find(path)
        return self._files.binaries.get(found.path) if found else None

    def _reason(self, name: str, asking: Loaded) -> str:
        for place in self._places(name, asking):
            found = self._files.find(place)
            if found and (binary := self._files.binaries.get(found.path)):
                return f"{place} is for {binary.kind}, not for {asking.binary.kind}"
            if found:
                return f"{place}: {self._files.damaged.get(found.path, 'it is no library')}"
            if place in self._files.entries:
                return f"{place} is a link to {self._files.entries[place].target}, which is not there"
        for folder in self._configured:
            if self._binary(posixpath.join(folder, name)):
                return f"it is in {folder}, but {_CACHE} does not list it: run ldconfig when the image is made"
        return ""

    @cached_property
    def _cache(self) -> Mapping[str, tuple[str, ...]]:
        found = self._files.find(_CACHE)
        return read_cache(self._files.texts.get(found.path, b"")) if found else {}

    @cached_property
    def _configured(self) -> tuple[str, ...]:
        return tuple(folders_of_configuration(self._files))


def _default_folders(binary: Binary) -> Iterator[str]:
    multiarch = _MULTIARCH.get(binary.machine)
    wide = ("lib64",) if binary.bits == 64 else ()  # noqa: PLR2004
    for name in (*((f"lib/{multiarch}",) if multiarch else ()), *wide, "lib"):
        yield f"/{name}"
        yield f"/usr/{name}"


def _expanded(folders: Iterable[str], asking: Loaded) -> Iterator[str]:
    multiarch = _MULTIARCH.get(asking.binary.machine)
    for folder in folders:
        yield expand(folder, asking.origin, f"lib/{multiarch}" if multiarch else "lib64")


def _lacking(loaded: Iterable[Loaded], known: Mapping[str, Loaded]) -> Iterator[Lacking]:
    for one in loaded:
        for name, versions in one.binary.requires.items():
            library = known.get(name)
            # The loader only warns where a library has no versions at all.
            if library and library.binary.defines:
                for version in versions:
                    if version not in library.binary.defines:
                        yield Lacking(version, library.path, one.path)

"""Is every library found, in the version that is needed, and none of the driver's inside?"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping

from builder.gates.structure.elf import Binary
from builder.gates.structure.examined import Examined, listed
from builder.gates.structure.files import FileKind
from builder.gates.structure.loader import Lacking, Loader, Missing, Process
from builder.gates.structure.record import read_record
from builder.gates.verdict import Check, failed, passed, unjudged
from builder.plan.marks import FOLDER

DRIVER = re.compile(r"lib(cuda|cudadebugger|nvidia-[\w-]+|nvcuvid|nvoptix|(EGL|GLX|GLESv\w+)_nvidia)\.so(\.|$)")
"""Libraries of NVIDIA's driver, which come from the host when a container starts."""
_DOCKER_MACHINES = {"amd64": "64-bit x86-64", "arm64": "64-bit AArch64", "386": "32-bit x86", "arm": "32-bit ARM"}
_KNOWN_LOADER = re.compile(r"/ld-linux[\w.-]*\.so\.\d+$|/ld64\.so\.\d+$")
_CPU_BACKEND = re.compile(r"libggml-cpu(-\w+)?\.so(\.\d+)*")
_PRELOAD = "/etc/ld.so.preload"
_REBUILD = "Build it again with `builder build`."


def check_libraries(examined: Examined) -> Iterator[Check]:
    """Checks about everything that the loader does for the programs and backends of the image."""
    yield _binaries(examined)
    if _loads_backends(examined):
        yield _processor(examined)
    wanted = _DOCKER_MACHINES.get(examined.image.architecture)
    own = {path: binary for path, binary in examined.own_binaries.items() if wanted in (None, binary.kind)}
    if not own:
        return
    yield _interpreter(examined, own)
    loader = loader_of(examined)
    processes = [loader.load(path) for path in own]
    yield _resolved(processes, own)
    yield _versions(processes)
    yield _driver(examined)
    yield _preloaded(examined)


def loader_of(examined: Examined) -> Loader:
    """The image's dynamic loader, with what the image's variables tell it."""
    folder = str(examined.config.get("WorkingDir") or "/")
    return Loader(examined.files, examined.environment.get("LD_LIBRARY_PATH", ""), folder)


def _binaries(examined: Examined) -> Check:
    name = "binaries"
    folder = list(examined.files.below(FOLDER))
    expected = [file for file in folder if file.kind is FileKind.FILE and _should_be_binary(file.path, file.mode)]
    bad = [file.path for file in expected if file.path not in examined.files.binaries]
    if bad:
        why = [f"{path}: {examined.files.damaged.get(path, 'it is no ELF file')}" for path in bad]
        return failed(name, f"The image holds damaged programs or libraries: {why[0]}. {_REBUILD}", tuple(why))
    wanted = _DOCKER_MACHINES.get(examined.image.architecture)
    if wanted is None:
        return unjudged(name, f"The image is for {examined.image.architecture or 'no'} processor, which is not known.")
    foreign = [
        f"{path} is for {binary.kind}" for path, binary in examined.own_binaries.items() if binary.kind != wanted
    ]
    if foreign:
        return failed(name, f"The image is for {wanted}, but {listed(foreign)}. {_REBUILD}", tuple(foreign))
    if not expected:
        return failed(name, f"The image holds no programs in {FOLDER}. {_REBUILD}")
    return passed(name, f"{len(expected)} programs and libraries in {FOLDER}, whole and for {wanted}.")


def _loads_backends(examined: Examined) -> bool:
    """Whether the build record says that backends are libraries of their own, which the server loads when it starts."""
    plan = read_record(examined.files).get("plan")
    given = plan.get("definitions") if isinstance(plan, dict) else None
    definitions = given if isinstance(given, list) else []
    pairs = [(one.get("name"), one.get("value")) for one in definitions if isinstance(one, dict)]
    return ("GGML_BACKEND_DL", "ON") in pairs


def _processor(examined: Examined) -> Check:
    name = "cpu-backend"
    found = [path for path in examined.own_binaries if _CPU_BACKEND.fullmatch(posixpath.basename(path))]
    if not found:
        return failed(name, f"There is no libggml-cpu*.so in {FOLDER}, without which no server starts. {_REBUILD}")
    return passed(name, f"{len(found)} libraries compute on the processor; the server takes the one that fits.")


def _should_be_binary(path: str, mode: int) -> bool:
    base = posixpath.basename(path)
    return ".so" in base or (bool(mode & 0o111) and base.startswith("llama-"))


def _interpreter(examined: Examined, own: Mapping[str, Binary]) -> Check:
    name = "interpreter"
    asked = sorted({binary.interpreter for binary in own.values() if binary.interpreter})
    absent = [path for path in asked if examined.files.find(path) is None]
    if absent:
        return failed(name, f"The image has no {listed(absent)}, which its programs are started by. {_REBUILD}")
    strange = [path for path in asked if not _KNOWN_LOADER.search(path)]
    if strange:
        return unjudged(name, f"Programs are started by {listed(strange)}, whose rules of search are not known here.")
    if not asked:
        return failed(name, f"No program in {FOLDER} names a loader that starts it. {_REBUILD}")
    return passed(name, f"{listed(asked)} starts the programs.")


def _resolved(processes: list[Process], own: Mapping[str, Binary]) -> Check:
    name = "libraries"
    missing = sorted({one for process in processes for one in process.missing if not DRIVER.match(one.name)})
    left = sorted({one.name for process in processes for one in process.missing if DRIVER.match(one.name)})
    if missing:
        names = list(dict.fromkeys(one.name for one in missing))
        return failed(
            name,
            f"Libraries are missing from the image: {listed(names)}; {_spell(missing[0])}. {_REBUILD}",
            tuple(_spell(one) for one in missing),
        )
    found = {path for process in processes for path in process.paths.values()}
    driver = f"; {listed(left)} comes with the driver" if left else ""
    return passed(name, f"{len(own)} programs and libraries find all {len(found)} libraries that they need{driver}.")


def _spell(one: Missing) -> str:
    reason = f" ({one.why})" if one.why else ""
    return f"{one.by} needs {one.name}{reason}"


def _versions(processes: list[Process]) -> Check:
    name = "symbol-versions"
    lacking = sorted({one for process in processes for one in process.lacking})
    if lacking:
        first = lacking[0]
        what = list(dict.fromkeys(one.version for one in lacking))
        return failed(
            name,
            f"The image's libraries are older than what was compiled against: {_need(first)}. Take a runtime base as "
            f"new as the devel base, and build again; {listed(what)} is what it must define.",
            tuple(_need(one) for one in lacking),
        )
    return passed(name, "Every library defines the symbol versions that are asked of it.")


def _need(one: Lacking) -> str:
    return f"{one.by} needs {one.version}, which {one.library} does not define"


def _driver(examined: Examined) -> Check:
    name = "driver"
    inside = [path for path in sorted(examined.files.entries) if DRIVER.match(posixpath.basename(path))]
    inside = [path for path in inside if examined.files.entries[path].kind is not FileKind.FOLDER]
    if inside:
        return failed(
            name,
            f"The image holds libraries of the NVIDIA driver: {listed(inside)}. They would take the place of the "
            "host's; remove them from the base image or from what is copied.",
            tuple(inside),
        )
    return passed(name, "None of the driver's libraries is inside: they come from the host.")


def _preloaded(examined: Examined) -> Check:
    name = "preload"
    set_here = [word for word in ("LD_PRELOAD", "LD_AUDIT") if examined.environment.get(word)]
    set_here += [_PRELOAD] if examined.files.find(_PRELOAD) else []
    if set_here:
        return failed(name, f"{listed(set_here)} puts other libraries before those that are linked. Take it away.")
    return passed(name, "Nothing is put before the libraries that are linked.")

"""Does the CUDA library hold code for the architectures that were asked for?"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping

from builder.gates.structure.elf import Binary
from builder.gates.structure.examined import Examined, listed
from builder.gates.structure.fatbin import Code, Form
from builder.gates.verdict import Check, failed, passed, unjudged
from builder.plan.architectures import compiler_codes
from builder.plan.marks import OWN

_NVIDIAS = re.compile(r"lib(cu|nv|npp|nccl)\w*\.so")
"""Libraries of the CUDA toolkit, which hold code for many architectures."""
_CUDA_LIBRARIES = re.compile(r"lib(cuda|cudart|cublas|cublasLt)\.so")
_NAME = re.compile(r"[1-9]\d{1,2}[af]?(?:-(?:real|virtual))?")
_REBUILD = "Build it again with `builder build`"


def check_machine_code(examined: Examined) -> Iterator[Check]:
    """Checks about GPU code: that there is some for the CUDA variant and none for the CPU's, and for which GPUs."""
    gpu = compiled_for_gpus(examined)
    named = listed([posixpath.basename(path) for path in gpu])
    if not examined.is_cuda:
        yield _none(named)
        return
    if not gpu:
        sentence = f"The labels say cuda, but no library of the image is for GPUs. {_REBUILD} --cuda`."
        yield failed("cuda-library", sentence)
        return
    yield passed("cuda-library", f"{named} is there, as the labels say.")
    yield _covered(examined, gpu)


def compiled_for_gpus(examined: Examined) -> Mapping[str, Binary]:
    """What the tree itself has for GPUs in the image, by path; without the libraries of the CUDA toolkit."""
    own = examined.own_binaries
    compiled = {path: binary for path, binary in own.items() if not _NVIDIAS.match(posixpath.basename(path))}
    return {path: binary for path, binary in compiled.items() if _is_for_gpus(binary)}


def _is_for_gpus(binary: Binary) -> bool:
    return bool(binary.code or binary.code_unread) or any(_CUDA_LIBRARIES.match(name) for name in binary.needed)


def _none(named: str) -> Check:
    if named:
        sentence = f"The labels say cpu, but {named} is for GPUs. {_REBUILD} --cpu`."
        return failed("cuda-library", sentence)
    return passed("cuda-library", "There is no CUDA library, as the labels say.")


def _covered(examined: Examined, gpu: Mapping[str, Binary]) -> Check:
    name = "machine-code"
    label = examined.image.labels.get(f"{OWN}architectures", "")
    asked = [word for word in label.split(",") if word]
    wrong = [word for word in asked if not _NAME.fullmatch(word)]
    if not asked or wrong:
        return unjudged(name, f"The label {OWN}architectures says {label!r}: it cannot be told what was asked for.")
    unread = [f"{path}: {binary.code_unread}" for path, binary in gpu.items() if binary.code_unread]
    if unread:
        return unjudged(name, f"What GPUs there is code for cannot be told: {listed(unread)}.", tuple(unread))
    held = sorted({code for binary in gpu.values() for code in binary.code})
    holds = f"{listed([posixpath.basename(path) for path in gpu])} holds code for {_spell(held)}"
    missing = [word for word in asked if not _is_held(word, held)]
    if missing:
        return failed(
            name,
            f"{holds}{' only' if held else ''}; asked for was {listed(list(map(_describe, missing)), 8)}: "
            f"{_consequence(missing)} {_REBUILD} --arch {','.join(asked)}`, or judge it for what it was built for.",
            tuple(_per_library(gpu)),
        )
    extra = sorted(set(map(str, held)) - {code for word in asked for code in _codes(word)})
    besides = f"; besides what was asked for: {', '.join(extra)}" if extra else ""
    return passed(name, f"{holds}{besides}.", tuple(_per_library(gpu)))


def _describe(word: str) -> str:
    """`sm_86` for `86-real`, `compute_90 (PTX)` for `90-virtual`, `sm_86 with PTX` for `86`."""
    bare, _, form = word.partition("-")
    if form == "virtual":
        return f"compute_{bare} (PTX)"
    return f"sm_{bare}" if form else f"sm_{bare} with PTX"


def _codes(word: str) -> frozenset[str]:
    bare = word.partition("-")[0]
    words = (word,) if "-" in word else (f"{bare}-real", f"{bare}-virtual")
    return frozenset(code for one in words for code in compiler_codes(one))


def _is_held(word: str, held: list[Code]) -> bool:
    names = set(map(str, held))
    if "-" in word:
        return bool(compiler_codes(word) & names)
    return all(compiler_codes(f"{word}-{form}") & names for form in ("real", "virtual"))


def _spell(held: list[Code]) -> str:
    code = [str(one) for one in held if one.form is Form.MACHINE_CODE]
    ptx = [str(one) for one in held if one.form is Form.PTX]
    spelt = [", ".join(code)] if code else []
    spelt += [f"{', '.join(ptx)} (PTX)"] if ptx else []
    return " and ".join(spelt) or "no architecture"


def _consequence(missing: list[str]) -> str:
    if all(word.endswith("-virtual") for word in missing):
        return "GPUs later than those it was built for cannot run it."
    return "GPUs of that kind compile PTX for minutes at each start, or cannot run it at all."


def _per_library(gpu: Mapping[str, Binary]) -> Iterator[str]:
    for path, binary in gpu.items():
        yield f"{path}: {_spell(list(binary.code))}"

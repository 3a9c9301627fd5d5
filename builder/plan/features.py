"""The features of a CUDA image: how a tree at hand is asked for each, and what proves that it was given.

One strategy per feature. The tree decides: what it declares is asked for in its own words; where it declares nothing,
a line of its code shows that it does the thing anyway; else the feature is absent.
"""

from __future__ import annotations

from collections.abc import Callable

from builder.plan.architectures import number_of
from builder.plan.facts import Facts
from builder.plan.options import Declaration
from builder.plan.plan import Definition, PlannedFeature, Provision, Traces

_CUDA_FOLDERS = ("ggml/src/ggml-cuda", "ggml-cuda")
_CUDA_MAIN = ("ggml/src/ggml-cuda/ggml-cuda.cu", "ggml/src/ggml-cuda.cu", "ggml-cuda.cu")
_FIRST_WITH_HALF = 60
_SLOW_HALF = 61

Strategy = Callable[[Facts, tuple[str, ...]], PlannedFeature]


def plan_feature(name: str, facts: Facts, architectures: tuple[str, ...]) -> PlannedFeature:
    """How one feature is had from a tree.

    Args:
        name: a key of STRATEGIES.
        architectures: what is compiled for, in CMake's words.
    """
    return STRATEGIES[name](facts, architectures)


def _cuda(facts: Facts, _architectures: tuple[str, ...]) -> PlannedFeature:
    option = facts.first_declared("GGML_CUDA", "LLAMA_CUDA", "LLAMA_CUBLAS")
    if not option:
        return _absent("cuda", "no CMake file declares GGML_CUDA, LLAMA_CUDA or LLAMA_CUBLAS")
    return _by_option(
        "cuda",
        option,
        "CMake finds NVIDIA's compiler of the planned release, and CUDA sources are compiled for each architecture.",
        Traces(sources=(".cu",)),
    )


def _cuda_graphs(facts: Facts, _architectures: tuple[str, ...]) -> PlannedFeature:
    if option := facts.first_declared("GGML_CUDA_GRAPHS", "GGML_CUDA_USE_GRAPHS"):
        macro = facts.macro_of(option.name, when=True)
        return _by_option("cuda-graphs", option, _told(macro), _macro_traces(macro))
    if line := facts.find(r"\bcudaGraphLaunch\s*\(", *_CUDA_MAIN):
        return _always("cuda-graphs", str(line), line.file)
    return _absent("cuda-graphs", "no option, and no call of cudaGraphLaunch")


def _f16(facts: Facts, architectures: tuple[str, ...]) -> PlannedFeature:
    """Half-precision arithmetic: an option up to upstream's #15433 (August 2025), then a matter of the architecture."""
    if option := facts.first_declared("GGML_CUDA_F16", "LLAMA_CUDA_F16"):
        macro = facts.macro_of(option.name, when=True)
        return _by_option("f16", option, _told(macro), _macro_traces(macro))
    line = facts.find(r"#\s*if\b.*\bFP16_AVAILABLE\b.*__CUDA_ARCH__", *(f"{it}/common.cuh" for it in _CUDA_FOLDERS))
    if not line or not facts.find(r"#\s*define\s+FAST_FP16_AVAILABLE\b", line.file):
        return _absent("f16", "no option, and no FAST_FP16_AVAILABLE in the CUDA sources")
    fast = [word for word in architectures if number_of(word) >= _FIRST_WITH_HALF and number_of(word) != _SLOW_HALF]
    if not fast:
        return _absent("f16", f"by architecture, but none of {', '.join(architectures)} is fast at it ({line})")
    proof = f"CUDA sources are compiled for {', '.join(fast)}, where the tree takes half precision."
    return PlannedFeature("f16", Provision.ARCHITECTURE, (), str(line), proof, Traces(sources=(".cu",)))


def _flash_attention(facts: Facts, _architectures: tuple[str, ...]) -> PlannedFeature:
    kernels = facts.find(r"\bggml_cuda_flash_attn_ext\s*\(", *(f"{folder}/fattn.cu" for folder in _CUDA_FOLDERS))
    if option := facts.first_declared("GGML_CUDA_FA"):
        macro = facts.macro_of(option.name, when=False)
        without = f", without {macro}" if macro else ""
        traces = Traces(sources=("/fattn.cu",), without=(macro,) if macro else ())
        return _by_option("flash-attention", option, f"fattn.cu is compiled{without}.", traces)
    if kernels:
        return _always("flash-attention", str(kernels), kernels.file)
    return _absent("flash-attention", "no option, and no ggml_cuda_flash_attn_ext in the CUDA sources")


STRATEGIES: dict[str, Strategy] = {
    "cuda": _cuda,
    "cuda-graphs": _cuda_graphs,
    "f16": _f16,
    "flash-attention": _flash_attention,
}


def _by_option(name: str, option: Declaration, further: str, traces: Traces) -> PlannedFeature:
    proof = f"CMake's cache says {option.name}:{option.type}=ON. {further}".strip()
    return PlannedFeature(name, Provision.OPTION, (Definition(option.name, "ON"),), option.evidence, proof, traces)


def _always(name: str, evidence: str, file: str) -> PlannedFeature:
    source = file.rpartition("/")[2]
    return PlannedFeature(
        name, Provision.ALWAYS, (), evidence, f"{source} is compiled for CUDA.", Traces(sources=(f"/{source}",))
    )


def _absent(name: str, evidence: str) -> PlannedFeature:
    return PlannedFeature(name, Provision.ABSENT, (), evidence, "Nothing.")


def _told(macro: str | None) -> str:
    return f"Every CUDA source is compiled with {macro}." if macro else ""


def _macro_traces(macro: str | None) -> Traces:
    return Traces(sources=(".cu",), macros=(macro,) if macro else ())

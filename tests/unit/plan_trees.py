"""Small trees in the manner of llama.cpp's eras, and plans of them. The texts are our own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from builder.plan.make import make_plan
from builder.plan.plan import BuildPlan, PlannedBases, Variant
from builder.settings import Settings
from builder.source.tree import SourceTree
from builder.upstream.revision import Revision

COMMIT = "0123456789abcdef0123456789abcdef01234567"
BASES = PlannedBases("custom", "devel:1", "sha256:d", "runtime:1", "sha256:r")

BUILD_INFO = """set(BUILD_NUMBER 0)
set(BUILD_COMMIT "unknown")
set(BUILD_COMPILER "unknown")
find_package(Git)
if(Git_FOUND)
    set(BUILD_NUMBER ${COUNT})
    set(BUILD_COMMIT ${HEAD})
endif()
"""

_TOP = """cmake_minimum_required(VERSION 3.14)
project("tiny" C CXX)
option(BUILD_SHARED_LIBS "build shared libraries" ${BUILD_SHARED_LIBS_DEFAULT})
option(LLAMA_BUILD_TESTS    "llama: build tests"    ${LLAMA_STANDALONE})
option(LLAMA_BUILD_EXAMPLES "llama: build examples" ${LLAMA_STANDALONE})
option(LLAMA_BUILD_SERVER   "llama: build server"   ${LLAMA_STANDALONE})
"""
_GGML = """option(GGML_NATIVE "ggml: optimize for this machine" ON)
option(GGML_CCACHE "ggml: use ccache" ON)
option(GGML_CUDA "ggml: use CUDA" OFF)
"""
_MACROS = """if (GGML_CUDA_GRAPHS)
    add_compile_definitions(GGML_CUDA_USE_GRAPHS)
endif()
if (NOT GGML_CUDA_FA)
    add_compile_definitions(GGML_CUDA_NO_FA)
endif()
"""
_OLD_MACROS = """if (GGML_CUDA)
    if (GGML_CUDA_F16 OR GGML_CUDA_DMMV_F16)
        set(CMAKE_CUDA_ARCHITECTURES "60")
    endif()
    if (GGML_CUDA_F16 OR GGML_CUDA_DMMV_F16)
        add_compile_definitions(GGML_CUDA_F16)
    endif()
    if (GGML_CUDA_USE_GRAPHS)
        add_compile_definitions(GGML_CUDA_USE_GRAPHS)
    endif()
endif()
"""
_COMMON = """#if __CUDA_ARCH__ >= 600
#define FP16_AVAILABLE
#endif
#if defined(FP16_AVAILABLE) && __CUDA_ARCH__ != 610
#define FAST_FP16_AVAILABLE
#endif
"""

OLD: Mapping[str, str] = {
    "CMakeLists.txt": _TOP + 'option(LLAMA_CURL "llama: use libcurl" OFF)\n',
    "ggml/CMakeLists.txt": _GGML
    + 'option(GGML_CUDA_F16 "ggml: use 16 bit floats" OFF)\noption(GGML_CUDA_USE_GRAPHS "ggml: use graphs" OFF)\n',
    "ggml/src/CMakeLists.txt": _OLD_MACROS,
    "ggml/src/ggml-cuda/common.cuh": _COMMON,
    "ggml/src/ggml-cuda/fattn.cu": "\nvoid ggml_cuda_flash_attn_ext(ctx & c) {\n}\n",
    "examples/server/CMakeLists.txt": "set(TARGET llama-server)\n",
    "examples/llama-bench/CMakeLists.txt": "set(TARGET llama-bench)\n",
    "cmake/build-info.cmake": BUILD_INFO,
}
"""Options for graphs and half precision, none for flash attention; programs under examples/; no stamp by definition."""

NEW: Mapping[str, str] = {
    "CMakeLists.txt": _TOP
    + 'option(LLAMA_BUILD_TOOLS "llama: build tools" ON)\noption(LLAMA_BUILD_APP "llama: one binary" ON)\n'
    + 'option(LLAMA_USE_PREBUILT_UI "llama: fetch the UI" ON)\nllama_option_depr(WARNING LLAMA_CURL)\n'
    + "if (NOT DEFINED LLAMA_BUILD_NUMBER)\n    set(LLAMA_BUILD_NUMBER ${BUILD_NUMBER})\nendif()\n",
    "ggml/CMakeLists.txt": _GGML
    + 'option(GGML_BACKEND_DL "ggml: backends as libraries" OFF)\n'
    + 'option(GGML_CPU_ALL_VARIANTS "ggml: all CPU variants" OFF)\noption(GGML_CUDA_FA "ggml: FlashAttention" ON)\n'
    + 'option(GGML_CUDA_GRAPHS "ggml: use graphs" ${DEFAULT})\noption(GGML_CUDA_NCCL "ggml: use NCCL" ON)\n',
    "ggml/src/CMakeLists.txt": "ggml_add_cpu_backend_variant(haswell AVX2)\n",
    "ggml/src/ggml-cuda/CMakeLists.txt": _MACROS,
    "ggml/src/ggml-cuda/common.cuh": _COMMON,
    "ggml/src/ggml-cuda/fattn.cu": "void ggml_cuda_flash_attn_ext(ctx & c) {\n}\n",
    "tools/server/CMakeLists.txt": "set(TARGET llama-server)\n",
    "tools/llama-bench/CMakeLists.txt": "add_executable(llama-bench llama-bench.cpp)\n",
    "cmake/build-info.cmake": BUILD_INFO,
}
"""Half precision by architecture; programs under tools/; the stamp by definition."""


def write(folder: Path, files: Mapping[str, str]) -> Path:
    """A tree on disk."""
    for name, text in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return folder


def plan(
    folder: Path,
    files: Mapping[str, str],
    *,
    variant: Variant = Variant.CUDA,
    number: int | None = 4242,
    capabilities: tuple[str, ...] = (),
    architecture: str = "amd64",
    **build: object,
) -> BuildPlan:
    """The plan of a tree; further arguments are those of builder.toml's `build`."""
    tree = SourceTree(write(folder, files), Revision(COMMIT, number, None, None, "here", "latest"), "sha256:tree")
    settings = Settings.model_validate({"build": {"architectures": "90", **build}})
    return make_plan(
        tree, settings, variant, BASES, "sha256:recipe", capabilities=capabilities, architecture=architecture
    )


def arguments(planned: BuildPlan) -> list[str]:
    """The command line's `-D...`."""
    return [definition.argument for definition in planned.definitions]

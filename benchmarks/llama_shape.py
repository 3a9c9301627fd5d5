"""What llama.cpp's tree and history look like: its areas, their files, how often they change, what commits say."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

HOT_FILE = "ggml/src/ggml-cuda/ggml-cuda.cu"
"""A file that a local patch for the GPU is likely to touch, and upstream touches all the time."""

HOT = (
    "CMakeLists.txt",
    "ggml/CMakeLists.txt",
    "ggml/src/ggml.c",
    "ggml/include/ggml.h",
    HOT_FILE,
    "src/llama-model.cpp",
    "tools/server/server.cpp",
    "common/arg.cpp",
    "README.md",
)
"""There from the first commit on, large, and each the first of its area: changed most."""


@dataclass(frozen=True)
class Area:
    """A part of the tree.

    Attributes:
        prefix: what its subjects begin with.
        pattern: path of a file, with `{word}` for its name.
        files: its share of the tree's files.
        weight: its share of the commits.
        first: its hot files.
    """

    prefix: str
    pattern: str
    files: int
    weight: int
    first: tuple[str, ...] = ()


AREAS = (
    Area("cuda", "ggml/src/ggml-cuda/{word}.cu", 140, 14, (HOT_FILE,)),
    Area("cuda", "ggml/src/ggml-cuda/template-instances/fattn-{word}.cu", 100, 1),
    Area("server", "tools/server/server-{word}.cpp", 30, 10, ("tools/server/server.cpp",)),
    Area("llama", "src/llama-{word}.cpp", 60, 12, ("src/llama-model.cpp",)),
    Area("model", "src/models/{word}.cpp", 120, 8),
    Area("ggml", "ggml/src/ggml-{word}.c", 20, 6, ("ggml/src/ggml.c", "ggml/include/ggml.h")),
    Area("ggml-cpu", "ggml/src/ggml-cpu/{word}.cpp", 60, 8),
    Area("vulkan", "ggml/src/ggml-vulkan/vulkan-shaders/{word}.comp", 100, 8),
    Area("metal", "ggml/src/ggml-metal/{word}.m", 40, 6),
    Area("sycl", "ggml/src/ggml-sycl/{word}.cpp", 90, 5),
    Area("opencl", "ggml/src/ggml-opencl/kernels/{word}.cl", 100, 4),
    Area("common", "common/{word}.cpp", 50, 8, ("common/arg.cpp",)),
    Area("mtmd", "tools/mtmd/{word}.cpp", 26, 4),
    Area("webui", "tools/ui/src/{word}.ts", 150, 6),
    Area("tests", "tests/test-{word}.cpp", 60, 6),
    Area("convert", "conversion/{word}.py", 70, 4),
    Area("ci", ".github/workflows/{word}.yml", 30, 3),
    Area("docs", "docs/{word}.md", 40, 5, ("README.md",)),
    Area("cmake", "cmake/{word}.cmake", 6, 3, ("CMakeLists.txt", "ggml/CMakeLists.txt")),
)
_ALL = sum(area.files for area in AREAS)
_VOCABULARY = """
attention batch binary cache clamp common concat context convert copy count cross dequantize device embed encode
experts fattn flash fusion gather gemm gguf graph grammar head hidden kernel layer load logits mask matmul mmq mmvq
model moe norm offset pool prompt quantize queue rope row sampler scale schema session shape shared silu slot
softmax split ssm stream stride tensor token topk transpose unary upscale vector vocab warp weight
"""
_WORDS = _VOCABULARY.split()
_VERBS = ("fix", "add", "support", "speed up", "refactor", "remove", "allow", "check", "simplify", "use")


def files_of(area: Area, total: int) -> list[str]:
    """The files of an area in a tree of about so many, hot ones first."""
    count = max(1, area.files * total // _ALL) - len(area.first)
    names = [area.pattern.format(word=_name(number)) for number in range(count)]
    return [*area.first, *names]


def subject(area: Area, pull_request: int, random: Random) -> str:
    """What a commit says, such as `cuda : fix warp mask (#12345)`."""
    what = " ".join(random.sample(_WORDS, random.randrange(2, 5)))
    return f"{area.prefix} : {random.choice(_VERBS)} {what} (#{pull_request})"


def lines(random: Random, count: int = 20_000) -> list[bytes]:
    """A stock of lines that compress about as source code does; to CMake each is a comment."""
    return [_line(random) for _ in range(count)]


def header_of(name: str, release: tuple[int, int, int]) -> bytes:
    """What a file begins with whatever is edited below: the options by which a tree is known, and its version."""
    if name == "CMakeLists.txt":
        version = "".join(
            f"set(LLAMA_VERSION_{part} {value})\n"
            for part, value in zip(("MAJOR", "MINOR", "PATCH"), release, strict=True)
        )
        options = 'option(LLAMA_BUILD_SERVER "llama: build the server" ON)\nadd_subdirectory(ggml)\n'
        return f'cmake_minimum_required(VERSION 3.14)\nproject("llama.cpp" C CXX)\n{version}{options}'.encode()
    if name == "ggml/CMakeLists.txt":
        return (
            b'option(GGML_NATIVE "ggml: for this machine" OFF)\noption(GGML_CUDA "ggml: use CUDA" OFF)\n'
            b'option(GGML_CUDA_GRAPHS "ggml: use CUDA graphs" ON)\noption(GGML_CUDA_FA "ggml: flash attention" ON)\n'
        )
    return b""


def _name(number: int) -> str:
    first, second = divmod(number, len(_WORDS))
    return _WORDS[second] if not first else f"{_WORDS[second]}-{_WORDS[(second + first * 7) % len(_WORDS)]}"


def _line(random: Random) -> bytes:
    indent = " " * 4 * random.randrange(4)
    a, b, c = random.sample(_WORDS, 3)
    shape = random.choice(
        (
            "# {i}const int {a}_{b} = {c}[{n}];",
            "# {i}if ({a} != {b}_{n}) {{",
            "# {i}}}",
            "# {i}{a}->{b}({c}, {n});",
            "# {i}// {a} the {b} of {c}",
            "# {i}for (int i = {n}; i < {a}.{b}; i += {c}) {{",
            "# {i}static void {a}_{b}_{c}(const float * x, int k{n}) {{",
        )
    )
    return f"{shape.format(i=indent, a=a, b=b, c=c, n=random.randrange(10_000))}\n".encode()

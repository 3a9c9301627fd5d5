"""CUDA's errors, in the words that servers print them in.

The lines are put together from upstream's own formats of July 2024 to October 2026 and the texts of cudaGetErrorString.
"""

from __future__ import annotations

import pytest

from builder.gates.serving.complaints import complaints
from builder.gates.serving.ending import ended
from builder.gates.verdict import Outcome
from builder.server.cuda_errors import advise
from builder.server.log import facts_of
from builder.server.running import ServerState

NO_CODE = "holds no code for this GPU: build it with `--arch`"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("CUDA error: no kernel image is available for execution on the device", NO_CODE),
        ("0.01.200.000 E CUDA error: no kernel image is available for execution on the device", NO_CODE),
        (
            "mmvq.cu:52: ERROR: CUDA kernel mul_mat_vec_q has no device code compatible with CUDA arch 900. (...)",
            NO_CODE,
        ),
        (
            "CUDA error: the provided PTX was compiled with an unsupported toolchain.",
            "too old to compile its intermediate code (PTX)",
        ),
        (
            "ggml_cuda_init: failed to initialize CUDA: CUDA driver version is insufficient for CUDA runtime version",
            "The driver is too old",
        ),
        ("ggml_cuda_init: failed to initialize CUDA: no CUDA-capable device is detected", "see `builder doctor`"),
        (
            "alloc_buffer: allocating 541.00 MiB on device 0: cudaMalloc failed: out of memory",
            "`nvidia-smi`",
        ),
    ],
)
def test_each_is_a_complaint_and_is_explained(line: str, said: str) -> None:
    facts = facts_of([line])
    assert facts.complaints == (line,)
    assert said in advise(facts.complaints)
    assert said in complaints(facts).check.detail


def test_a_server_that_cuda_ended_is_told_with_the_reason() -> None:
    facts = facts_of(
        [
            "ggml_cuda_compute_forward: MUL_MAT failed",
            "CUDA error: no kernel image is available for execution on the device",
            "  current device: 0, in function ggml_cuda_compute_forward at ggml-cuda.cu:2368",
        ]
    )
    check = ended("start", ServerState(False, 134, False), facts, "", 0).check
    assert check.outcome is Outcome.FAIL
    assert check.detail.startswith("The server aborted (status 134) before it answered anything. ")
    assert NO_CODE in check.detail


def test_what_is_no_error_of_cuda_is_not_explained() -> None:
    assert advise(["error while handling argument", "CUDA error: an illegal memory access was encountered"]) == ""

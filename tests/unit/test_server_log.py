"""What a server's log says.

The lines about the CPU are from a server of October 2026 (commit 0c1e570) that was told to say all, those of older ones
from servers of July 2024 and August 2025; the lines about a GPU are spelled as upstream's sources print them.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.server.harmless import HARMLESS, Need
from builder.server.log import facts_of, read_log

CPU = """\
0.00.016.837 I cmn  common_param: common_params_print_info: build 0 (0c1e57098) with GNU 14.2.0 for Linux x86_64
0.00.024.327 I load_tensors:          CPU model buffer size =     0.00 MiB
0.00.024.831 I llama_kv_cache:        CPU KV buffer size =     0.00 MiB
0.00.033.969 D done_getting_tensors: tensor 'token_embd.weight' (f16) (and 38 others) cannot be used with preferred \
buffer type CPU_REPACK, using CPU instead
0.00.034.920 I load_tensors:   CPU_Mapped model buffer size =     8.01 MiB
0.00.035.551 I llama_kv_cache:        CPU KV buffer size =     8.50 MiB
0.00.044.917 I sched_reserve:        CPU compute buffer size =     2.03 MiB
0.00.247.058 I srv          init: preserve_reasoning kwarg: not supported by template
0.28.056.657 I srv    operator(): operator(): cleaning up before exit...
"""
GPU = """\
0.00.100.000 I ggml_cuda_init: found 2 CUDA devices (Total VRAM: 162120 MiB):
0.00.101.000 I cmn  common_param: system_info: n_threads = 16 (n_threads_batch = 16) / 16 | CUDA : ARCHS = 750,900 | \
USE_GRAPHS = 1 | PEER_MAX_BATCH_SIZE = 128 | CPU : SSE3 = 1 | SSSE3 = 1 | AVX = 1 |
0.00.200.000 I load_tensors:        CUDA0 model buffer size =     0.00 MiB
0.00.300.000 I load_tensors: offloading output layer to GPU
0.00.300.001 I load_tensors: offloaded 5/5 layers to GPU
0.00.300.002 I load_tensors:   CPU_Mapped model buffer size =     1.00 MiB
0.00.300.003 I load_tensors:        CUDA0 model buffer size =     7.01 MiB
0.00.400.000 I llama_kv_cache:      CUDA0 KV buffer size =     8.50 MiB
0.00.400.001 I llama_context:  CUDA_Host  output buffer size =     0.03 MiB
0.01.000.000 D ggml_backend_cuda_graph_compute: CUDA graph warmup complete
0.01.000.001 D CUDA Graph id 7 reused
0.01.000.002 D CUDA Graph id 7 reused
"""


def test_a_server_on_the_cpu_is_known_by_its_buffers() -> None:
    facts = facts_of(CPU.splitlines(), [Need.CPU])
    assert [(buffer.device, buffer.size) for buffer in facts.on("model")] == [("CPU_Mapped", 8.01)]
    assert [(buffer.device, buffer.size) for buffer in facts.on("KV")] == [("CPU", 8.5)]
    assert facts.build == (0, "0c1e57098")
    assert facts.offloaded is None
    assert facts.cuda == ""
    assert facts.complaints == ()
    assert facts.excused == 1
    assert facts.last[-1].endswith("cleaning up before exit...")


def test_a_server_on_a_gpu_is_known_by_layers_buffers_and_graphs() -> None:
    facts = facts_of(GPU.splitlines())
    assert facts.devices == 2
    assert facts.offloaded == (5, 5)
    assert {(one.device, one.use): one.size for one in facts.buffers if one.on_cuda} == {
        ("CUDA0", "model"): 7.01,
        ("CUDA0", "KV"): 8.5,
    }
    assert not next(one for one in facts.buffers if one.device == "CUDA_Host").on_cuda
    assert facts.graphs_built
    assert (facts.warmed, facts.reused) == (1, 2)
    assert facts.complaints == ()


def test_the_cpus_features_are_not_taken_for_the_gpus() -> None:
    facts = facts_of(["system_info: | CUDA : ARCHS = 900 | CPU : SSE3 = 1 | USE_GRAPHS = 1 |"])
    assert facts.cuda.startswith("CUDA : ARCHS = 900")
    assert not facts.graphs_built


def test_reasons_for_giving_up_graphs_are_kept_once() -> None:
    line = "ggml_backend_cuda_graph_compute: disabling CUDA graphs due to GPU architecture"
    assert facts_of([line] * 100).disabled == ("GPU architecture",)


@pytest.mark.parametrize(
    ("line", "build"),
    [
        ("build: 8982 (9e3b928fd) with GNU 14.2.0 for Linux x86_64", (8982, "9e3b928fd")),
        ('INFO [                    main] build info | tid="1" build=3452 commit="398ede5ef"', (3452, "398ede5ef")),
        ("0.00.016.837 I common_params_print_info: build 10991 (unknown) with GNU", (10991, "unknown")),
    ],
)
def test_builds_are_named_in_every_era(line: str, build: tuple[int, str]) -> None:
    assert facts_of([line]).build == build


@pytest.mark.parametrize(
    "line",
    [
        "0.25.679.784 E srv    send_error: task id = 3, something",
        'ERR [              start_loop] unhandled | tid="1"',
        "error: invalid argument: --no-such-word",
        "gguf_init_from_file: failed to read tensor data",
        "CUDA error: an illegal memory access was encountered",
        "W llama_context: V cache quantization not supported, set to disabled",
        "lora for 'x' cannot use buft 'CUDA0', fallback to CPU",
        "NCCL init failed (x); falling back to internal AllReduce",
        "ggml_cuda_init: failed to initialize CUDA: no CUDA-capable device is detected",
        "warning: no usable GPU found, --gpu-layers option will be ignored",
        "GGML_ASSERT(n > 0) failed",
        "update_slots: speculative decoding not supported by this context",
    ],
)
def test_what_does_not_work_is_a_complaint(line: str) -> None:
    assert facts_of([line]).complaints == (line,)


@pytest.mark.parametrize(
    ("line", "needs"),
    [
        ("warning: no usable GPU found, --gpu-layers option will be ignored", [Need.CPU]),
        ("W srv load_model: speculative decoding not supported by this context", [Need.EMBEDDINGS]),
        ("common_init: KV cache shifting is not supported for this context, disabling", [Need.EMBEDDINGS]),
        ('response: {"error":{"code":503,"message":"Loading model","type":"unavailable_error"}}', []),
        ("Failed to open logfile 'llama.log' with error 'Read-only file system'", []),
        ("D \x1b[1m\x1b[38;5;214mdetect: Template application failed, skipping reasoning detection", []),
        ("backend /opt/llama.cpp/libggml-cpu-zen4.so is not supported on this system", []),
        ('0.1 D srv operator(): http: streamed chunk: data: {"content":" error"}', []),
        ('data: {"choices":[{"delta":{"content":" failed"}}]}', []),
        ("llama_model_loader: - kv   1:    general.name str              = Trial and Error 7B", []),
    ],
)
def test_what_only_looks_like_a_complaint_is_none(line: str, needs: list[Need]) -> None:
    facts = facts_of([line], needs)
    assert facts.complaints == ()
    assert facts.excused == 1


TEMPLATE = """\
main: chat template, chat_template: {{ bos_token }}{% if messages[0]['role'] == 'system' %}
{{ raise_exception('System role not supported') }}{% endif %}
{# an error: 'failed' #}
{{ 'error' }}, example_format: '<start_of_turn>user
Hello, this failed<end_of_turn>
<start_of_turn>model
'
"""
"""As a server of August 2025 prints the template of a Gemma model."""


def test_a_chat_template_that_is_printed_is_no_complaint() -> None:
    broken = "srv  update_slots: failed to find a slot"
    facts = facts_of([*TEMPLATE.splitlines(), "main: server is listening", broken])
    assert facts.complaints == (broken,)


@pytest.mark.parametrize(
    "line",
    [
        "main: chat template, chat_template: {{ raise_exception('error') }}, example_format: '<user>failed'",
        "main: chat template, built_in: 1, chat_example: '<|im_start|>failed'",
        "0.00.1 I srv          init: init: chat template, example_format: '<|im_start|>failed'",
        '0.1 D srv log_server_r: response: {"total_slots":4,"chat_template":"{{ raise_exception(1) }} error"}',
    ],
)
def test_what_is_quoted_on_one_line_ends_there(line: str) -> None:
    assert facts_of([line, "CUDA error: out of memory"]).complaints == ("CUDA error: out of memory",)


@pytest.mark.parametrize(
    "line",
    [
        "0.25.679.784 E srv    send_error: task id = 3, something",
        "srv    load_model: failed to load the model",
        "ggml_cuda_init: failed to initialize CUDA: no CUDA-capable device is detected",
        'ERR [              start_loop] unhandled | tid="1"',
    ],
)
def test_a_quotation_that_never_ends_hides_no_message(line: str) -> None:
    assert facts_of([*TEMPLATE.splitlines()[:3], line]).complaints == (line,)
    assert facts_of([*TEMPLATE.splitlines()[:3], *["{# #}"] * 5000, "error: this too"]).complaints == (
        "error: this too",
    )


def test_a_failure_about_a_template_is_a_complaint() -> None:
    line = "srv init: chat template parsing error: expected token"
    assert facts_of([line]).complaints == (line,)


def test_an_error_that_is_answered_is_a_complaint() -> None:
    line = 'response: {"error":{"code":500,"message":"failed"}}'
    assert facts_of([line]).complaints == (line,)


def test_every_excuse_has_a_reason() -> None:
    assert all(harmless.reason.endswith(".") for harmless in HARMLESS)


@pytest.mark.parametrize("line", ["the default is a failover of 3", "no fallen leaves", "terrors", "errands", "ok"])
def test_other_words_are_no_complaints(line: str) -> None:
    assert facts_of([line]).complaints == ()


def test_a_log_that_is_not_there_says_nothing(tmp_path: Path) -> None:
    assert read_log(tmp_path / "none").lines == 0


def test_a_line_without_end_costs_little_and_hides_nothing_after_it(tmp_path: Path) -> None:
    file = tmp_path / "log"
    file.write_bytes(b"x" * 50_000_000 + b" error\nerror: this one\n\xff\xfe failed \x00\n")
    facts = read_log(file)
    assert facts.lines == 3
    assert facts.complaints == ("error: this one", "\ufffd\ufffd failed")


def test_a_flood_of_complaints_is_cut(tmp_path: Path) -> None:
    file = tmp_path / "log"
    file.write_text("".join(f"error {number}\n" for number in range(1000)))
    facts = read_log(file)
    assert len(facts.complaints) == 12
    assert facts.complaints[0] == "error 0"
    assert facts.last[-1] == "error 999"


@given(st.lists(st.text(max_size=300), max_size=30))
def test_any_text_is_read(lines: list[str]) -> None:
    facts = facts_of(lines)
    assert facts.lines == len(lines)
    assert all(len(line) <= 240 for line in (*facts.complaints, *facts.last))

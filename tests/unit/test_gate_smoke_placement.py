"""What the smoke gate makes of a log, of how a process ended, and of how memory grew."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.engine.images import Image
from builder.gates.finding import Finding
from builder.gates.serving.complaints import complaints
from builder.gates.serving.ending import ended, in_words, not_started
from builder.gates.serving.trial import Trial
from builder.gates.smoke.course import Course
from builder.gates.smoke.gate import owed
from builder.gates.smoke.placement import COMPUTES_ON, GRAPHS, OFFLOAD, graphs, offload, on_cpu, placement
from builder.gates.smoke.slope import slope
from builder.gates.verdict import Outcome, failed, passed, verdict_of
from builder.profiles import ProfileKind, profile
from builder.server.help import Help, Option
from builder.server.log import facts_of
from builder.server.profile import ServedModel
from builder.server.running import ServerState
from builder.server.startup import Ending

TELLS = Help({"--log-verbosity": Option(("--log-verbosity",), "N", "Values:\n - 4: trace\n - 5: debug")})
"""The help of a server that can tell of each CUDA graph."""
SILENT = Help({"--log-verbosity": Option(("--log-verbosity",), "N", "a threshold")})
ALL = "load_tensors: offloaded 5/5 layers to GPU"
WEIGHTS = "load_tensors: CUDA0 model buffer size = 7.01 MiB"
HOST = "load_tensors: CPU_Mapped model buffer size = 1.00 MiB"
CACHE = "llama_kv_cache: CUDA0 KV buffer size = 8.50 MiB"
BUILT = "system_info: n_threads = 8 | CUDA : ARCHS = 900 | USE_GRAPHS = 1 | CPU : SSE3 = 1 |"
WARM = "CUDA graph warmup complete"
USED = "CUDA Graph id 7 reused"


def trial(kind: ProfileKind = "chat", variant: str = "cuda", **values: object) -> Trial:
    labels = {"local.builder.variant": variant} if variant else {}
    image = Image("sha256:0", (), (), 0, labels, (), "", "amd64")
    gpus = ("--gpus", "all") if variant == "cuda" else ()
    return Trial(image, profile(kind, **values), ServedModel(Path("model.gguf"), None), gpus)


def outcome(finding: Finding) -> tuple[Outcome, str]:
    return finding.check.outcome, finding.check.detail


def test_all_layers_weights_and_cache_on_the_gpu_pass() -> None:
    finding = offload(trial(), facts_of([ALL, HOST, WEIGHTS, CACHE]))
    assert outcome(finding) == (Outcome.PASS, "All 5 layers are on the GPU, 7 MiB of weights.")
    assert finding.measurements == {"layers_on_gpu": 5, "layers": 5, "weights_on_gpu_mib": 7.0}


@pytest.mark.parametrize(
    ("lines", "detail"),
    [
        ([HOST, "llama_kv_cache: CPU KV buffer size = 8.50 MiB"], "It computes on the CPU"),
        ([ALL.replace("5/5", "3/5"), WEIGHTS, CACHE], "Only 3 of 5 layers"),
        ([ALL.replace("5/5", "0/5"), HOST], "Only 0 of 5 layers"),
        ([ALL, HOST, CACHE], "no weights are in a CUDA buffer"),
        ([ALL, WEIGHTS.replace("7.01", "0.00"), HOST, CACHE], "no weights are in a CUDA buffer"),
        ([ALL, WEIGHTS.replace("CUDA0", "CUDA_Host"), CACHE], "no weights are in a CUDA buffer"),
        ([ALL, WEIGHTS, CACHE.replace("CUDA0", "CPU")], "the cache of keys and values is on CPU"),
        ([ALL, WEIGHTS], "the cache of keys and values is in no buffer"),
    ],
)
def test_what_is_not_on_the_gpu_fails(lines: list[str], detail: str) -> None:
    said = outcome(offload(trial(), facts_of(lines)))
    assert said[0] is Outcome.FAIL
    assert detail in said[1]


def test_an_embedding_model_has_no_cache_to_be_on_the_gpu() -> None:
    assert outcome(offload(trial("embedding"), facts_of([ALL, WEIGHTS])))[0] is Outcome.PASS


def test_fewer_layers_pass_where_the_profile_wants_fewer() -> None:
    facts = facts_of([ALL.replace("5/5", "3/5"), WEIGHTS, CACHE])
    assert outcome(offload(trial(gpu_layers=3), facts))[0] is Outcome.PASS
    assert outcome(offload(trial(gpu_layers=4), facts))[0] is Outcome.FAIL


def test_some_layers_leave_part_of_the_cache_on_the_cpu_and_not_all_of_it() -> None:
    on_cpu_too = CACHE.replace("CUDA0", "CPU")
    some = ALL.replace("5/5", "3/5")
    said = outcome(offload(trial(gpu_layers=3), facts_of([some, WEIGHTS, on_cpu_too, CACHE])))
    assert said == (Outcome.PASS, "3 of 5 layers are on the GPU, as the profile wants, 7 MiB of weights.")
    assert outcome(offload(trial(gpu_layers=3), facts_of([some, WEIGHTS, on_cpu_too])))[0] is Outcome.FAIL
    assert outcome(offload(trial(), facts_of([ALL, WEIGHTS, on_cpu_too, CACHE])))[0] is Outcome.FAIL
    one = [ALL.replace("5/5", "1/5"), WEIGHTS, on_cpu_too]
    assert outcome(offload(trial(gpu_layers=1), facts_of(one)))[0] is Outcome.PASS


def test_no_layer_on_the_gpu_passes_where_the_profile_wants_none() -> None:
    lines = [HOST, CACHE.replace("CUDA0", "CPU")]
    for said in ([ALL.replace("5/5", "0/5"), *lines], lines):
        assert outcome(offload(trial(gpu_layers=0), facts_of(said)))[0] is Outcome.PASS
    assert outcome(offload(trial(gpu_layers=0), facts_of([ALL, WEIGHTS, CACHE])))[0] is Outcome.FAIL
    assert outcome(offload(trial(gpu_layers=0), facts_of([WEIGHTS])))[0] is Outcome.FAIL
    assert outcome(graphs(trial(gpu_layers=0), facts_of([BUILT]), TELLS))[0] is Outcome.PASS


def test_what_a_recurrent_model_keeps_is_its_cache() -> None:
    state = "llama_memory_recurrent: CUDA0 RS buffer size = 8.50 MiB"
    assert outcome(offload(trial(), facts_of([ALL, WEIGHTS, state])))[0] is Outcome.PASS
    elsewhere = facts_of([ALL, WEIGHTS, state.replace("CUDA0", "CPU")])
    assert outcome(offload(trial(), elsewhere))[0] is Outcome.FAIL
    assert outcome(on_cpu(trial(variant="cpu"), facts_of([HOST, state])))[0] is Outcome.FAIL


def test_graphs_that_the_profile_turns_off_need_not_be_used() -> None:
    off = trial(environment={"GGML_CUDA_DISABLE_GRAPHS": "1"})
    said = outcome(graphs(off, facts_of([BUILT]), TELLS))
    assert said[0] is Outcome.PASS
    assert "The profile turns CUDA graphs off" in said[1]
    assert outcome(graphs(off, facts_of([WEIGHTS]), TELLS))[0] is Outcome.FAIL


@pytest.mark.parametrize("lines", [["hello"], [ALL], [ALL, WEIGHTS.replace("buffer size", "room")], [WEIGHTS, CACHE]])
def test_a_log_that_does_not_say_where_all_layers_are_is_not_judged(lines: list[str]) -> None:
    assert outcome(offload(trial(), facts_of(lines)))[0] is Outcome.UNJUDGED
    assert outcome(offload(trial("embedding"), facts_of(lines)))[0] is Outcome.UNJUDGED


@pytest.mark.parametrize(
    ("lines", "known", "wanted"),
    [
        ([BUILT, WARM, USED], TELLS, (Outcome.PASS, "A CUDA graph was warmed up and used again 1 times.")),
        ([BUILT], TELLS, (Outcome.FAIL, "CUDA graphs are built in, and none was used.")),
        ([BUILT], SILENT, (Outcome.UNJUDGED, "does not say whether it uses them")),
        ([BUILT.replace("USE_GRAPHS = 1 | ", ""), WARM], TELLS, (Outcome.FAIL, "built without CUDA graphs")),
        ([BUILT.replace("USE_GRAPHS = 1 | ", "")], SILENT, (Outcome.FAIL, "built without CUDA graphs")),
        ([WEIGHTS], TELLS, (Outcome.FAIL, "The CUDA library was not loaded")),
        ([], TELLS, (Outcome.UNJUDGED, "nothing tells of graphs")),
        ([WEIGHTS], SILENT, (Outcome.UNJUDGED, "nothing tells of graphs")),
        ([BUILT, "x: disabling CUDA graphs due to GPU architecture"], TELLS, (Outcome.UNJUDGED, "This GPU is too old")),
    ],
)
def test_graphs_have_to_be_built_in_and_used(lines: list[str], known: Help, wanted: tuple[Outcome, str]) -> None:
    said = outcome(graphs(trial(), facts_of(lines), known))
    assert said[0] is wanted[0]
    assert wanted[1] in said[1]


def test_an_embedding_model_need_not_use_graphs() -> None:
    assert outcome(graphs(trial("embedding"), facts_of([BUILT]), TELLS))[0] is Outcome.PASS


def test_an_image_for_the_cpu_computes_there() -> None:
    cache = "llama_kv_cache: CPU KV buffer size = 8.50 MiB"
    assert outcome(on_cpu(trial(variant="cpu"), facts_of([HOST, cache])))[0] is Outcome.PASS
    assert outcome(on_cpu(trial(variant="cpu"), facts_of([HOST, CACHE])))[0] is Outcome.FAIL
    assert outcome(on_cpu(trial(variant="cpu"), facts_of(["hello"])))[0] is Outcome.UNJUDGED
    assert outcome(on_cpu(trial(variant=""), facts_of([HOST, cache])))[0] is Outcome.UNJUDGED


def test_an_empty_log_does_not_tell_that_all_went_well() -> None:
    assert outcome(complaints(facts_of([])))[0] is Outcome.UNJUDGED
    assert outcome(complaints(facts_of(["fine"])))[0] is Outcome.PASS


@pytest.mark.parametrize(("variant", "gives"), [("cuda", "offload"), ("cuda", "graphs"), ("cpu", "computes-on")])
@pytest.mark.parametrize("kind", ["chat", "embedding"])
def test_what_the_gate_owes_and_did_not_look_at_is_no_pass(kind: ProfileKind, variant: str, gives: str) -> None:
    names = owed(trial(kind, variant))
    checks = {name: passed(name, "Fine.") for name in names}
    assert verdict_of("smoke", "image", None, checks.values(), measurements={}, seconds=0, owed=names).reasons == (
        f"All {len(names)} checks passed.",
    )
    del checks[gives]
    verdict = verdict_of("smoke", "image", None, checks.values(), measurements={}, seconds=0, owed=names)
    assert verdict.outcome is Outcome.UNJUDGED
    assert verdict.reasons == (f"Nothing was looked at for `{gives}`.",)


def test_a_failure_is_not_buried_under_what_was_not_looked_at() -> None:
    names, start = owed(trial()), failed("start", "It crashed.")
    verdict = verdict_of("smoke", "image", None, [start], measurements={}, seconds=0, owed=names)
    assert (verdict.outcome, verdict.checks) == (Outcome.FAIL, (start,))


@pytest.mark.parametrize(("variant", "wanted"), [("cuda", {OFFLOAD, GRAPHS}), ("cpu", {COMPUTES_ON})])
def test_a_whole_course_with_a_silent_log_is_asked_where_it_computed(variant: str, wanted: set[str]) -> None:
    silent = Course((), facts_of(["llama_server listens"]), whole=True)
    findings = {one.check.name: one.check.outcome for one in placement(trial(variant=variant), silent, TELLS)}
    assert findings == dict.fromkeys(wanted, Outcome.UNJUDGED)
    assert not list(placement(trial(variant=variant), Course((), facts_of(["hello"])), TELLS))


def test_complaints_fail_with_their_lines() -> None:
    finding = complaints(facts_of(["fine", "error: one", "x not supported"]))
    assert outcome(finding)[0] is Outcome.FAIL
    assert finding.check.excerpt == ("error: one", "x not supported")


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (1, "an error of its own (status 1)"),
        (127, "for want of a program or a library (status 127)"),
        (132, "this machine's processor does not have (status 132)"),
        (134, "aborted (status 134)"),
        (137, "was killed (status 137)"),
        (139, "crashed (status 139"),
        (77, "ended with status 77"),
    ],
)
def test_an_ending_is_told_in_words(status: int, words: str) -> None:
    assert words in in_words(ServerState(False, status, False))


def test_want_of_memory_names_the_limit() -> None:
    state = ServerState(False, 137, True)
    assert "more than the 512m that its container may have" in in_words(state, "512m")
    assert "the memory of this machine" in in_words(state)


def test_a_server_that_ended_shows_what_it_complained_of_before_its_last_words() -> None:
    facts = facts_of(["CUDA error: an illegal memory access", *[f"frame {number}" for number in range(20)]])
    check = ended("users", ServerState(False, 134, False), facts, "", 17).check
    assert check.detail == "The server aborted (status 134) after 17 requests."
    assert check.excerpt[0] == "CUDA error: an illegal memory access"
    assert check.excerpt[-1] == "frame 19"


def test_a_missing_library_is_the_images_fault_and_a_missing_gpu_is_not() -> None:
    missing = "llama-server: error while loading shared libraries: libcudart.so.13: cannot open shared object file: No"
    said = outcome(not_started(Ending(127, missing)))
    assert said[0] is Outcome.FAIL
    assert said[1].startswith("The shared library libcudart.so.13 is missing.")
    refused = 'docker: Error response from daemon: could not select device driver "" with capabilities: [[gpu]]'
    assert outcome(not_started(Ending(125, refused)))[0] is Outcome.UNJUDGED


def test_growth_is_not_fooled_by_a_single_jump() -> None:
    assert slope([10, 10, 10, 500, 500, 500, 500, 500, 500, 500]) == 0
    assert slope([0, 7, 14, 21]) == 7

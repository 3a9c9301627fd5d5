"""Plans of small trees."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from rich.console import Console

from builder.cli.plan import render
from builder.errors import MachineError, SourceError, UsageError
from builder.plan.plan import PlannedFeature, Provision, Traces, Variant
from tests.unit.plan_trees import COMMIT, NEW, OLD, arguments, plan


def _feature(features: tuple[PlannedFeature, ...], name: str) -> PlannedFeature:
    return next(feature for feature in features if feature.name == name)


def test_new_tree(tmp_path: Path) -> None:
    planned = plan(tmp_path, NEW)
    assert arguments(planned) == [
        "-DCMAKE_BUILD_TYPE=Release",
        "-DBUILD_SHARED_LIBS=ON",
        "-DCMAKE_BUILD_WITH_INSTALL_RPATH=ON",
        "-DCMAKE_INSTALL_RPATH=$ORIGIN",
        "-DCMAKE_CUDA_ARCHITECTURES=90-real",
        "-DGGML_NATIVE=OFF",
        "-DGGML_BACKEND_DL=ON",
        "-DGGML_CPU_ALL_VARIANTS=ON",
        "-DGGML_CUDA=ON",
        "-DGGML_CUDA_GRAPHS=ON",
        "-DGGML_CUDA_FA=ON",
        "-DGGML_CUDA_NCCL=OFF",
        "-DGGML_CCACHE=OFF",
        "-DLLAMA_BUILD_TESTS=OFF",
        "-DLLAMA_BUILD_EXAMPLES=OFF",
        "-DLLAMA_BUILD_APP=OFF",
        "-DLLAMA_BUILD_TOOLS=ON",
        "-DLLAMA_BUILD_SERVER=ON",
        "-DLLAMA_USE_PREBUILT_UI=OFF",
        "-DLLAMA_BUILD_NUMBER=4242",
        f"-DLLAMA_BUILD_COMMIT={COMMIT[:9]}",
    ]
    assert planned.targets == ("llama-server", "llama-bench")
    assert planned.stamp.defaults_file is None


def test_new_tree_gives_half_precision_by_architecture(tmp_path: Path) -> None:
    f16 = _feature(plan(tmp_path, NEW).features, "f16")
    assert (f16.provision, f16.definitions) == (Provision.ARCHITECTURE, ())
    assert f16.evidence == ("ggml/src/ggml-cuda/common.cuh:4 #if defined(FP16_AVAILABLE) && __CUDA_ARCH__ != 610")
    assert "90-real" in f16.proof


def test_new_tree_names_the_macros_that_prove(tmp_path: Path) -> None:
    features = plan(tmp_path, NEW).features
    assert _feature(features, "cuda-graphs").traces == Traces((".cu",), ("GGML_CUDA_USE_GRAPHS",))
    assert _feature(features, "flash-attention").traces == Traces(("/fattn.cu",), (), ("GGML_CUDA_NO_FA",))


def test_old_tree_is_asked_in_its_own_words(tmp_path: Path) -> None:
    planned = plan(tmp_path, OLD)
    asked = arguments(planned)
    assert {"-DGGML_CUDA_USE_GRAPHS=ON", "-DGGML_CUDA_F16=ON", "-DLLAMA_BUILD_EXAMPLES=ON", "-DLLAMA_CURL=OFF"} <= {
        *asked
    }
    assert not [word for word in asked if "GGML_BACKEND_DL" in word or "BUILD_NUMBER" in word or "_FA=" in word]
    assert planned.stamp.defaults_file == "cmake/build-info.cmake"
    assert _feature(planned.features, "f16").traces.macros == ("GGML_CUDA_F16",)


def test_old_tree_has_flash_attention_without_an_option(tmp_path: Path) -> None:
    feature = _feature(plan(tmp_path, OLD).features, "flash-attention")
    assert (feature.provision, feature.definitions) == (Provision.ALWAYS, ())
    assert feature.evidence.startswith("ggml/src/ggml-cuda/fattn.cu:2 void ggml_cuda_flash_attn_ext")


def test_tree_that_uses_graphs_without_an_option(tmp_path: Path) -> None:
    files = {**OLD, "ggml-cuda.cu": "  CUDA_CHECK(cudaGraphLaunch(instance, stream));\n"}
    files["ggml/CMakeLists.txt"] = OLD["ggml/CMakeLists.txt"].replace("GGML_CUDA_USE_GRAPHS", "GGML_OTHER")
    feature = _feature(plan(tmp_path, files).features, "cuda-graphs")
    assert feature.provision is Provision.ALWAYS
    assert feature.evidence.startswith("ggml-cuda.cu:1 ")
    assert feature.traces.sources == ("/ggml-cuda.cu",)


def test_older_names_of_the_options(tmp_path: Path) -> None:
    renamed = OLD["ggml/CMakeLists.txt"].replace("GGML_CUDA", "LLAMA_CUDA").replace("GGML_NATIVE", "LLAMA_NATIVE")
    renamed = renamed.replace("LLAMA_CUDA_USE_GRAPHS", "GGML_CUDA_USE_GRAPHS")
    asked = arguments(plan(tmp_path, {**OLD, "ggml/CMakeLists.txt": renamed}))
    assert {"-DLLAMA_CUDA=ON", "-DLLAMA_CUDA_F16=ON", "-DLLAMA_NATIVE=OFF"} <= {*asked}


@pytest.mark.parametrize(
    ("file", "word", "feature"),
    [
        ("ggml/CMakeLists.txt", "GGML_CUDA ", "cuda"),
        ("ggml/CMakeLists.txt", "GGML_CUDA_GRAPHS", "cuda-graphs"),
        ("ggml/src/ggml-cuda/common.cuh", "FAST_FP16_AVAILABLE", "f16"),
        ("ggml/CMakeLists.txt", "GGML_CUDA_FA", "flash-attention"),
    ],
)
def test_feature_that_the_tree_has_not_is_refused_by_name(tmp_path: Path, file: str, word: str, feature: str) -> None:
    files = {**NEW, file: NEW[file].replace(word, "SOMETHING_ELSE ")}
    files["ggml/src/ggml-cuda/fattn.cu"] = "\n"
    with pytest.raises(SourceError, match=f"no way to give {feature}:"):
        plan(tmp_path, files)


def test_feature_not_wanted_is_not_asked_for(tmp_path: Path) -> None:
    planned = plan(tmp_path, NEW, features=["cuda"])
    assert [feature.name for feature in planned.features] == ["cuda"]
    assert not [word for word in arguments(planned) if "GRAPHS" in word or "_FA=" in word]


def test_cuda_is_asked_for_whatever_is_listed(tmp_path: Path) -> None:
    planned = plan(tmp_path, NEW, features=["f16"])
    assert [feature.name for feature in planned.features] == ["cuda", "f16"]


def test_half_precision_where_no_architecture_is_fast_at_it(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"f16: by architecture, but none of 61-real"):
        plan(tmp_path, NEW, cuda="12.4", architectures="61")


def test_cpu_plan_has_nothing_of_cuda(tmp_path: Path) -> None:
    planned = plan(tmp_path, NEW, variant=Variant.CPU, architectures="9999")
    assert (planned.cuda, planned.architectures, planned.features) == (None, (), ())
    assert not [word for word in arguments(planned) if "CUDA" in word]
    assert planned.tag.startswith("b4242-cpu-")


def test_cpu_variants_only_where_the_tree_has_them_for_the_machine(tmp_path: Path) -> None:
    assert "-DGGML_CPU_ALL_VARIANTS=ON" not in arguments(plan(tmp_path / "a", NEW, architecture="arm64"))
    both = {**NEW, "ggml/src/CMakeLists.txt": "ggml_add_cpu_backend_variant(armv8.2_1 DOTPROD)\n"}
    assert "-DGGML_CPU_ALL_VARIANTS=ON" in arguments(plan(tmp_path / "b", both, architecture="arm64"))


def test_own_definitions_come_last_and_take_the_place_of_planned_ones(tmp_path: Path) -> None:
    planned = plan(tmp_path, NEW, definitions={"LLAMA_BUILD_TESTS": "ON", "GGML_CUDA_FA_ALL_QUANTS": "ON"})
    asked = arguments(planned)
    assert asked[-2:] == ["-DLLAMA_BUILD_TESTS=ON", "-DGGML_CUDA_FA_ALL_QUANTS=ON"]
    assert "-DLLAMA_BUILD_TESTS=OFF" not in asked


@pytest.mark.parametrize(
    ("name", "value"),
    [("FOO:BOOL", "1"), ("-DFOO", "1"), ("", "1"), ("FOO BAR", "1"), ("FOO", "1\n-DGGML_CUDA=OFF"), ("FOO", "\0")],
)
def test_definition_that_is_none_is_refused(tmp_path: Path, name: str, value: str) -> None:
    with pytest.raises(UsageError, match="no CMake definition"):
        plan(tmp_path, NEW, definitions={name: value})


@pytest.mark.parametrize("name", ["GGML_CUDA_GRAPHS", "CMAKE_CUDA_ARCHITECTURES", "LLAMA_BUILD_NUMBER"])
def test_definition_against_the_plan_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match=name):
        plan(tmp_path, NEW, definitions={name: "OFF"})


def test_architectures_of_the_gpus_at_hand(tmp_path: Path) -> None:
    planned = plan(tmp_path, NEW, architectures="auto", capabilities=("9.0", "8.6"))
    assert planned.architectures == ("86-real", "90-real")
    assert "-DCMAKE_CUDA_ARCHITECTURES=86-real;90-real" in arguments(planned)


def test_architectures_of_no_gpu(tmp_path: Path) -> None:
    with pytest.raises(MachineError):
        plan(tmp_path, NEW, architectures="auto")


def test_tree_without_the_programs(tmp_path: Path) -> None:
    files = {**OLD, "examples/server/CMakeLists.txt": "set(TARGET server)\n"}
    with pytest.raises(SourceError, match="does not build llama-server"):
        plan(tmp_path, files)


def test_unknown_number_is_stamped_as_zero_and_never_named(tmp_path: Path) -> None:
    planned = plan(tmp_path, NEW, number=None)
    assert "-DLLAMA_BUILD_NUMBER=0" in arguments(planned)
    assert planned.tag.startswith(f"{COMMIT[:9]}-cuda13.0-")


def test_what_decides_changes_the_digest(tmp_path: Path) -> None:
    digests = {
        plan(tmp_path, NEW).digest,
        plan(tmp_path, NEW, architectures="86").digest,
        plan(tmp_path, NEW, number=4243).digest,
        plan(tmp_path, NEW, variant=Variant.CPU).digest,
        plan(tmp_path, NEW, definitions={"LLAMA_BUILD_TESTS": "ON"}).digest,
    }
    assert len(digests) == 5
    assert plan(tmp_path, NEW).digest in digests


def test_document_is_json(tmp_path: Path) -> None:
    planned = plan(tmp_path, NEW)
    document = json.loads(json.dumps(planned.document()))
    assert document["digest"] == planned.digest
    assert [feature["provision"] for feature in document["features"]] == ["option", "option", "architecture", "option"]


@pytest.mark.parametrize("files", [OLD, NEW])
def test_shown_in_eighty_columns(tmp_path: Path, files: dict[str, str]) -> None:
    planned = plan(
        tmp_path, files, architectures="default", definitions={"CMAKE_CXX_FLAGS": "[bold]-O2[/] " + "x" * 90}
    )
    console = Console(width=200, highlight=False)
    with console.capture() as captured:
        console.print(render(planned))
    shown = captured.get()
    assert max(map(len, shown.splitlines())) <= 80
    for expected in (
        planned.tag,
        "f16",
        "GGML_CUDA_F16" if files is OLD else "common.cuh:4",
        "[bold]-O2[/]",
        "CUDA 13.0",
    ):
        assert expected in shown

"""What CMake left, held against a plan. The texts are in CMake's form and our own."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.errors import BuildError
from builder.plan.evidence import CacheEntry, Proof, judge, parse_cache, parse_commands, parse_unused
from builder.plan.plan import BuildPlan, Variant
from tests.unit.plan_trees import NEW, OLD, plan

_FINISHED = "-- Build files have been written to: /build\n"
_LOG = "-- The CUDA compiler identification is NVIDIA 13.0.88 with host compiler GNU 14.2.0\n" + _FINISHED
_UNUSED = """CMake Warning:
  Manually-specified variables were not used by the project:

    {}


"""


@dataclass(frozen=True)
class Left:
    """What CMake left."""

    cache: dict[str, CacheEntry]
    log: str
    commands: list[dict[str, str]]

    def judge(self, planned: BuildPlan) -> tuple[Proof, ...]:
        cache = "".join(f"//help\n{name}:{entry.type}={entry.value}\n\n" for name, entry in self.cache.items())
        return judge(planned, f"# a cache\n\n{cache}", self.log, json.dumps(self.commands))

    def with_entry(self, name: str, kind: str, value: str) -> Left:
        return replace(self, cache={**self.cache, name: CacheEntry(kind, value)})

    def without_macro(self, macro: str, file: str = "") -> Left:
        return replace(
            self,
            commands=[
                {**entry, "command": entry["command"].replace(f"-D{macro} ", "")} if file in entry["file"] else entry
                for entry in self.commands
            ],
        )


def _compile(file: str, output: str, options: str = "") -> dict[str, str]:
    command = f"/usr/bin/compiler {options} -O3 -c {file} -o {output}"
    return {"directory": "/build", "command": command, "file": file, "output": output}


def _left(planned: BuildPlan, *macros: str) -> Left:
    """What CMake leaves where everything was given."""
    stamp = {definition.name for definition in planned.stamp.definitions}
    cache = {
        definition.name: CacheEntry(
            "UNINITIALIZED" if definition.name in stamp or definition.name.startswith("CMAKE_") else "BOOL",
            definition.value,
        )
        for definition in planned.definitions
    }
    codes = '"--generate-code=arch=compute_90,code=[sm_90]"'
    options = " ".join((*(f"-D{macro}" for macro in macros), codes))
    kernels = [
        _compile(f"/src/ggml/src/ggml-cuda/{name}.cu", f"ggml/src/CMakeFiles/ggml-cuda.dir/{name}.cu.o", options)
        for name in ("fattn", "ggml-cuda")
    ]
    programs = [
        _compile("/src/server.cpp", "tools/server/CMakeFiles/llama-server.dir/server.cpp.o"),
        _compile("/src/llama-bench.cpp", "tools/llama-bench/CMakeFiles/llama-bench.dir/llama-bench.cpp.o"),
    ]
    on_gpu = planned.variant is Variant.CUDA
    return Left(cache, _LOG if on_gpu else _FINISHED, [*(kernels if on_gpu else []), *programs])


def test_new_tree_is_proven(tmp_path: Path) -> None:
    planned = plan(tmp_path, NEW)
    proofs = {proof.subject: proof.shown for proof in _left(planned, "GGML_CUDA_USE_GRAPHS").judge(planned)}
    assert list(proofs) == ["definitions", "targets", "architectures", "cuda", "cuda-graphs", "f16", "flash-attention"]
    assert proofs["architectures"] == "2 CUDA sources are compiled for sm_90."
    assert proofs["cuda-graphs"].startswith("GGML_CUDA_GRAPHS=ON in CMake's cache; ")
    assert "GGML_CUDA_USE_GRAPHS is defined for all 2" in proofs["cuda-graphs"]
    assert "common.cuh:4" in proofs["f16"]
    assert "GGML_CUDA_NO_FA is defined for none of 2" in proofs["flash-attention"]


def test_old_tree_is_proven(tmp_path: Path) -> None:
    planned = plan(tmp_path, OLD)
    proofs = _left(planned, "GGML_CUDA_USE_GRAPHS", "GGML_CUDA_F16").judge(planned)
    assert Proof("flash-attention", "fattn.cu is compiled.") in proofs


def test_cpu_plan_is_proven_without_cuda(tmp_path: Path) -> None:
    planned = plan(tmp_path, NEW, variant=Variant.CPU)
    assert [proof.subject for proof in _left(planned).judge(planned)] == ["definitions", "targets"]


def test_stale_option_that_cmake_does_not_name(tmp_path: Path) -> None:
    planned = plan(tmp_path, NEW, definitions={"GGML_CUDA_F16": "ON"})
    left = _left(planned, "GGML_CUDA_USE_GRAPHS").with_entry("GGML_CUDA_F16", "UNINITIALIZED", "ON")
    with pytest.raises(BuildError, match=r"does not know what it was given: GGML_CUDA_F16\.") as refusal:
        left.judge(planned)
    assert "GGML_CUDA_FA" in refusal.value.remedy


@pytest.mark.parametrize("kind", ["UNINITIALIZED", "BOOL"])
def test_made_up_definition_that_cmake_names(tmp_path: Path, kind: str) -> None:
    planned = plan(tmp_path, NEW, definitions={"FOO_BAR": "1"})
    left = _left(planned, "GGML_CUDA_USE_GRAPHS").with_entry("FOO_BAR", kind, "1")
    with pytest.raises(BuildError, match="FOO_BAR"):
        replace(left, log=_UNUSED.format("FOO_BAR") + _LOG).judge(planned)


def test_all_unknown_ones_are_named_at_once(tmp_path: Path) -> None:
    planned = plan(tmp_path, NEW, definitions={"FOO": "1", "CMAKE_BAR": "1", "GONE": "1"})
    left = _left(planned, "GGML_CUDA_USE_GRAPHS").with_entry("FOO", "UNINITIALIZED", "1")
    del left.cache["GONE"]
    with pytest.raises(BuildError, match="FOO, GONE, CMAKE_BAR"):
        replace(left, log=_UNUSED.format("CMAKE_BAR") + _LOG).judge(planned)


def test_cache_that_says_otherwise(tmp_path: Path) -> None:
    planned = plan(tmp_path, NEW)
    left = _left(planned, "GGML_CUDA_USE_GRAPHS").with_entry("GGML_CUDA_GRAPHS", "BOOL", "OFF")
    with pytest.raises(BuildError, match=r"GGML_CUDA_GRAPHS is 'OFF', not 'ON'"):
        left.judge(planned)


@pytest.mark.parametrize(("asked", "cached"), [("1", "ON"), ("yes", "TRUE"), ("OFF", "0"), ("false", "NO"), ("a", "a")])
def test_spellings_of_one_value(tmp_path: Path, asked: str, cached: str) -> None:
    planned = plan(tmp_path, NEW, definitions={"GGML_X": asked})
    assert _left(planned, "GGML_CUDA_USE_GRAPHS").with_entry("GGML_X", "BOOL", cached).judge(planned)


@pytest.mark.parametrize(("asked", "cached"), [("1", "OFF"), ("a", "b"), ("ON", "a"), ("OFF", "a"), ("2", "1")])
def test_different_values(tmp_path: Path, asked: str, cached: str) -> None:
    planned = plan(tmp_path, NEW, definitions={"GGML_X": asked})
    with pytest.raises(BuildError, match="GGML_X is"):
        _left(planned, "GGML_CUDA_USE_GRAPHS").with_entry("GGML_X", "STRING", cached).judge(planned)


def test_no_cuda_compiler(tmp_path: Path) -> None:
    planned = plan(tmp_path, OLD)
    left = _left(planned, "GGML_CUDA_USE_GRAPHS", "GGML_CUDA_F16")
    with pytest.raises(BuildError, match="no CUDA compiler"):
        replace(left, log=_FINISHED).judge(planned)


@pytest.mark.parametrize("version", ["12.8.93", "13.1.80", "1.3.0"])
def test_another_cuda_release(tmp_path: Path, version: str) -> None:
    planned = plan(tmp_path, NEW)
    left = _left(planned, "GGML_CUDA_USE_GRAPHS")
    with pytest.raises(BuildError, match=f"CUDA 13.0 was planned.*{version}"):
        replace(left, log=_LOG.replace("13.0.88", version)).judge(planned)


def test_architecture_that_nothing_is_compiled_for(tmp_path: Path) -> None:
    planned = plan(tmp_path, NEW, architectures="90,90-virtual")
    with pytest.raises(BuildError, match="compiled for 90-virtual"):
        _left(planned, "GGML_CUDA_USE_GRAPHS").judge(planned)


def test_graphs_missing_from_one_source(tmp_path: Path) -> None:
    planned = plan(tmp_path, NEW)
    left = _left(planned, "GGML_CUDA_USE_GRAPHS").without_macro("GGML_CUDA_USE_GRAPHS", "fattn.cu")
    with pytest.raises(BuildError, match="cuda-graphs was asked for and is not given: GGML_CUDA_USE_GRAPHS"):
        left.judge(planned)


def test_flash_attention_turned_off_by_a_macro(tmp_path: Path) -> None:
    planned = plan(tmp_path, NEW)
    with pytest.raises(BuildError, match="flash-attention was asked for and is not given: GGML_CUDA_NO_FA"):
        _left(planned, "GGML_CUDA_USE_GRAPHS", "GGML_CUDA_NO_FA").judge(planned)


def test_kernels_that_are_not_compiled(tmp_path: Path) -> None:
    planned = plan(tmp_path, OLD)
    left = _left(planned, "GGML_CUDA_USE_GRAPHS", "GGML_CUDA_F16")
    with pytest.raises(BuildError, match=r"flash-attention .* no CUDA source \*/fattn\.cu"):
        replace(left, commands=[it for it in left.commands if "fattn" not in it["file"]]).judge(planned)


def test_target_that_is_not_there(tmp_path: Path) -> None:
    planned = plan(tmp_path, NEW)
    left = _left(planned, "GGML_CUDA_USE_GRAPHS")
    with pytest.raises(BuildError, match="does not build llama-bench"):
        replace(left, commands=[it for it in left.commands if "bench" not in it["file"]]).judge(planned)


def test_configuring_that_did_not_finish(tmp_path: Path) -> None:
    planned = plan(tmp_path, NEW)
    left = _left(planned, "GGML_CUDA_USE_GRAPHS")
    with pytest.raises(BuildError, match="did not finish"):
        replace(left, log=_LOG.replace(_FINISHED, "-- Configuring incomplete, errors occurred!\n")).judge(planned)


@pytest.mark.parametrize("text", ["", "{}x", "[1]", '[{"file": "a"}]', "3"])
def test_commands_that_cannot_be_read(text: str) -> None:
    with pytest.raises(BuildError, match="compile_commands"):
        parse_commands(text)


def test_cache_in_cmakes_form() -> None:
    text = (
        "# This is the CMakeCache file.\n\n//Path: a=b\nCMAKE_CUDA_COMPILER:FILEPATH=/usr/local/cuda/bin/nvcc\r\n"
        '"odd:name":STRING=x\nEMPTY:STATIC=\nFLAGS:STRING=-DA=1:b\nCMAKE_INSTALL_RPATH:UNINITIALIZED=$ORIGIN\n'
        "CMAKE_C_COMPILER-ADVANCED:INTERNAL=1\nnot an entry\n"
    )
    assert parse_cache(text) == {
        "CMAKE_CUDA_COMPILER": CacheEntry("FILEPATH", "/usr/local/cuda/bin/nvcc"),
        "odd:name": CacheEntry("STRING", "x"),
        "EMPTY": CacheEntry("STATIC", ""),
        "FLAGS": CacheEntry("STRING", "-DA=1:b"),
        "CMAKE_INSTALL_RPATH": CacheEntry("UNINITIALIZED", "$ORIGIN"),
        "CMAKE_C_COMPILER-ADVANCED": CacheEntry("INTERNAL", "1"),
    }


_KINDS = st.sampled_from(["BOOL", "STRING", "PATH", "UNINITIALIZED", "INTERNAL"])
_VALUES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n"), max_size=40)
_ENTRIES = st.builds(CacheEntry, _KINDS, _VALUES)


@given(st.dictionaries(st.from_regex(r"[A-Za-z_][A-Za-z0-9_.+-]{0,20}", fullmatch=True), _ENTRIES, max_size=8))
def test_any_cache_comes_back(entries: dict[str, CacheEntry]) -> None:
    text = "".join(f"//{entry.value}\n{name}:{entry.type}={entry.value}\n\n" for name, entry in entries.items())
    assert parse_cache(text) == entries


@given(st.text())
def test_any_text_is_a_cache(text: str) -> None:
    assert len(parse_cache(text)) <= text.count("\n") + 1


@given(st.lists(st.from_regex(r"[A-Z][A-Z0-9_]{0,12}", fullmatch=True), min_size=1, max_size=5))
def test_unused_names_end_with_their_warning(names: list[str]) -> None:
    log = "-- Configuring done\n" + _UNUSED.format("\n    ".join(names)) + _FINISHED + "    NOT_ONE_OF_THEM\n"
    assert parse_unused(log) == tuple(names)


def test_log_without_the_warning() -> None:
    assert parse_unused(_LOG) == ()

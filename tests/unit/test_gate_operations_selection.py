"""Which operations serving uses, which of their cases, and how a program of any age is asked for them."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from builder.config import load
from builder.console import Reporter
from builder.engine.client import Engine
from builder.engine.images import Image
from builder.gates.correctness.needed import (
    ModelFacts,
    Operations,
    operations_of,
    operations_on_cpu,
    read_model,
    tensor_type,
)
from builder.gates.correctness.operations import batches_of, bench_of
from builder.gates.correctness.program import Abilities, parse_listing, parse_usage
from builder.gates.correctness.tests_image import Programs
from builder.gates.correctness.upstream import alike
from builder.gates.gate import Scene
from builder.gates.serving.trial import Trial
from builder.paths import Paths
from builder.process import Runner
from builder.profiles import profile
from builder.server.models.make import make_model
from builder.server.models.shape import ModelKind
from builder.server.profile import ServedModel, model_of

FIRST = """Usage: test-backend-ops [mode] [-o op] [-b backend]
  valid modes are: test (compare with CPU backend for correctness) or perf (performance evaluation)
  op names are as given by ggml_op_desc()
"""
MIDDLE = "Usage: test-backend-ops [mode] [-o <op,..>] [-b <backend>] [-p <params regex>] [--output <console|sql|csv>]\n"
LATER = MIDDLE.rstrip("\n") + " [--list-ops] [--show-coverage] [--test-file <path>] [-j <n>]\n"
NEWEST = """Usage: test-backend-ops [mode] [options]

  -o <op|regex,..>            comma separated list of exact op names (as given by ggml_op_desc()),
  -p <params regex>           filter test cases by a regex matched against their params
  --list-ops                  list all available GGML operations
  -j <n>                      run tests using <n> parallel worker threads (default: 1, test mode only)
"""
LLAMA = ModelFacts("llama", frozenset({"f16", "q4_K"}), (128, 128), experts=False)
IMAGE = Image("sha256:1", (), (), 1, {}, (), "", "amd64")


def trial(kind: str = "chat", **values: object) -> Trial:
    return Trial(IMAGE, profile(kind, **values), ServedModel(Path("none"), None), ())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("usage", "abilities"),
    [
        (FIRST, Abilities()),
        (MIDDLE, Abilities(many=True, parameters=True)),
        (LATER, Abilities(many=True, parameters=True, workers=True, listing=True)),
        (NEWEST, Abilities(many=True, parameters=True, workers=True, listing=True)),
    ],
)
def test_a_usage_tells_what_the_program_takes(usage: str, abilities: Abilities) -> None:
    assert parse_usage(usage) == abilities


@pytest.mark.parametrize("text", ["", "Testing 1 devices\n", "error while loading shared libraries\n"])
def test_what_is_no_usage_is_none(text: str) -> None:
    assert parse_usage(text) is None


def test_a_listing_gives_the_names() -> None:
    assert parse_listing("GGML operations:\n  ABS\n  MUL_MAT\n\nTotal: 2 operations\n") == {"ABS", "MUL_MAT"}


def test_a_chat_and_an_embedding_profile_need_their_own_operations() -> None:
    chat = operations_of([trial()], [LLAMA])
    assert {"RMS_NORM", "ROPE", "FLASH_ATTN_EXT", "MUL_MAT", "CPY"} <= set(chat.needed)
    assert not {"NORM", "MUL_MAT_ID"} & set(chat.needed)
    embedding = operations_of([trial("embedding")], [LLAMA])
    assert {"NORM", "GELU"} <= set(embedding.needed)
    assert "RMS_NORM" not in embedding.needed


def test_flash_attention_and_experts_are_needed_where_they_are_used() -> None:
    plain = operations_of([trial(flash_attention=False, cache_type_v="f16")], [LLAMA])
    assert "FLASH_ATTN_EXT" not in plain.needed
    assert "SOFT_MAX" in plain.needed
    experts = ModelFacts("qwen3moe", LLAMA.weights, LLAMA.head, experts=True)
    assert "MUL_MAT_ID" in operations_of([trial()], [experts]).needed


def test_the_slow_ones_are_asked_for_last_and_by_themselves() -> None:
    groups = operations_of([trial()], [LLAMA]).groups()
    assert groups[1:] == (("MUL_MAT",), ("FLASH_ATTN_EXT",))
    assert {"ADD", "RMS_NORM_MUL_ADD", "SET_ROWS"} <= set(groups[0])


@pytest.mark.parametrize(
    ("parameters", "taken"),
    [
        ("type_a=q4_K,type_b=f32,m=16,n=1,k=256,bs=[1,1],nr=[1,1],per=[0,1,2,3],k_v=0,o=1", True),
        ("type_a=f16,type_b=f32,m=16,n=1,k=256,bs=[1,1],nr=[1,1]", True),
        ("type_a=q4_K,type_b=f32,m=4096,n=1,k=14336,bs=[1,1],nr=[1,1],per=[0,1,2,3],k_v=0,o=1", False),
        ("type_a=iq2_xxs,type_b=f32,m=16,n=1,k=256,bs=[1,1],nr=[1,1],per=[0,1,2,3],k_v=0,o=1", False),
        ("type_a=q4_K,type_b=f32,n_mats=4,n_used=2,b=0,m=512,n=1,k=256", True),
        (
            "hsk=128,hsv=128,nh=4,nr23=[1,1],kv=512,nb=75,mask=1,sinks=0,prec=f32,type_K=q8_0,type_V=q8_0,permute=[0]",
            True,
        ),
        ("hsk=128,hsv=128,nh=4,nr23=[1,1],kv=512,nb=35,mask=1,sinks=0,prec=f32,type_KV=q8_0,permute=[0]", True),
        ("hsk=64,hsv=64,nh=4,nr23=[1,1],kv=1024,nb=1,mask=1,sinks=0,prec=f32,type_K=f16,type_V=f16,permute=[0]", True),
        (
            "hsk=64,hsv=64,nh=8,nr23=[8,1],kv=7680,nb=512,mask=1,sinks=0,prec=f32,type_K=q8_0,type_V=q8_0,permute=[0]",
            False,
        ),
        (
            "hsk=64,hsv=64,nh=4,nr23=[1,1],kv=512,nb=1,mask=1,sinks=0,prec=f32,type_K=q4_0,type_V=q4_0,permute=[0]",
            False,
        ),
        (
            "hsk=256,hsv=256,nh=4,nr23=[1,1],kv=512,nb=1,mask=1,sinks=0,prec=f32,type_K=f16,type_V=f16,permute=[0]",
            False,
        ),
        ("type_src=f32,type_dst=q8_0,ne_src=[256,4,4,4],permute_src=[0,0,0,0]", True),
        ("type_src=f32,type_dst=q2_K,ne_src=[256,4,4,4],permute_src=[0,0,0,0]", False),
        ("type=q8_0,ne=[256,5,1,3],nr23=[1,1],r=1,v=0", True),
        ("type=f32,ne=[64,5,4,3],v=0,eps=0.000001", True),
        ("type=bf16,n=256,m=5,r=4,be1=1,be2=1,v=0", False),
        ("type=f32,ne=[1,1,65536,1],nr=[256,1,1,1],nf=1", False),
        ("type=f32,ne_a=[16,16,8192,1],n_dims=16,mode=0,n_ctx=512", False),
        ("ne=[128,4,3,1],eps=0.000001,multi_add=0", True),
    ],
)
def test_cases_of_what_is_served_are_taken(parameters: str, taken: bool) -> None:
    pattern = operations_of([trial()], [LLAMA]).pattern
    assert bool(re.search(pattern, parameters)) is taken


def test_on_the_cpu_only_what_has_another_way_of_computing_is_compared() -> None:
    found = operations_on_cpu([trial()], [LLAMA])
    assert found is not None
    assert found.needed == ("FLASH_ATTN_EXT",)
    assert not re.search(found.pattern, "hsk=64,hsv=64,nh=4,kv=512,nb=1,prec=f32,type_K=q8_0,type_V=q8_0,permute=[0]")
    assert operations_on_cpu([trial(flash_attention=False, cache_type_v="f16")], [LLAMA]) is None


WANTED = Operations(("ADD", "MUL_MAT"), ("SET_ROWS",), ("ADD_ADD",), "")


def test_a_program_that_takes_many_is_asked_in_groups() -> None:
    every = Abilities(many=True)
    assert batches_of(WANTED, every, None) == (("ADD", "SET_ROWS", "ADD_ADD"), ("MUL_MAT",))
    assert batches_of(WANTED, every, frozenset({"ADD"})) == (("ADD", "ADD_ADD"),)


def test_a_program_that_takes_one_is_asked_for_each() -> None:
    assert batches_of(WANTED, Abilities(), None) == (("ADD",), ("SET_ROWS",), ("MUL_MAT",))


@pytest.mark.parametrize(
    ("name", "type_name"),
    [("F16", "f16"), ("Q4_K", "q4_K"), ("Q8_0", "q8_0"), ("IQ2_XXS", "iq2_xxs"), ("MXFP4", "mxfp4"), ("BF16", "bf16")],
)
def test_types_are_named_as_the_tests_name_them(name: str, type_name: str) -> None:
    assert tensor_type(name) == type_name


def test_a_made_model_stands_for_the_usual_ones(tmp_path: Path) -> None:
    config = load(None, {})
    served = model_of("chat", config, tmp_path, print)
    found = read_model(Trial(IMAGE, config.settings.profiles["chat"], served, ()))
    assert found is not None
    assert (found.architecture, found.head, found.experts) == ("llama", (64, 64), False)
    assert {"f16", "q8_0", "q4_K", "q6_K"} <= found.weights


def test_a_users_own_model_says_its_own_types(tmp_path: Path) -> None:
    made = make_model(ModelKind.LLAMA, tmp_path)
    found = read_model(Trial(IMAGE, profile("chat"), ServedModel(made.path, None), ()))
    assert found is not None
    assert found.weights == {"f16", "f32"}


def test_a_model_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF" + b"\xff" * 64)
    assert read_model(Trial(IMAGE, profile("chat"), ServedModel(broken, None), ())) is None


def test_profiles_that_set_the_same_variables_are_run_for_at_once() -> None:
    served = {"LLAMA_API_KEY": "x", "LLAMA_ARG_THREADS": "2"}
    trials = {
        "chat": trial(environment={"A": "1"}),
        "slow": trial(environment={"A": "2"}),
        "open": trial(environment={"A": "1", **served}),
        "plain": trial(),
    }
    assert alike(trials) == (["chat", "open"], ["slow"], ["plain"])


def test_programs_get_the_gpu_and_the_variables_that_decide_what_is_computed(tmp_path: Path) -> None:
    gpu = ("--gpus", "device=GPU-1")
    trials = [replace(trial(environment={"A": "1", "LLAMA_API_KEY": "hush"}), gpu_options=gpu)]
    runner = Runner()
    scene = Scene(Engine(runner), runner, Reporter(), Paths(tmp_path), load(environ={}), tmp_path)
    bench = bench_of(Programs(IMAGE, frozenset()), trials, scene)
    assert bench.options == (*gpu, "--env", "A=1")

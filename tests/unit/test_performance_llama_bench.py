"""What llama-bench prints and is told, in its forms and ages."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.performance.bench_output import FORMS, Unreadable, parse_bench
from builder.performance.effort import Work, least
from builder.performance.errors import CouldNotMeasure
from builder.performance.lengths import Room
from builder.performance.llama_bench import BenchProgram, bench_words, require_gpu
from builder.profiles import profile
from builder.server.help import Help, parse_help

DATA = Path(__file__).parent / "data" / "llama-bench"
ROOM = Room(slot=2048, ubatch=512)
LEAST = least(ROOM)
AGES = ("b3452", "b6100", "v0.5.0-dev")


def program(age: str) -> BenchProgram:
    return BenchProgram("llama-bench", parse_help((DATA / f"help-{age}.txt").read_text(encoding="utf-8")))


def words(age: str, kind: str = "chat", work: Work = LEAST, **values: object) -> dict[str, str]:
    told = bench_words(program(age), profile(kind, **values), "/models/m.gguf", work)  # type: ignore[arg-type]
    return dict(zip(told[::2], told[1::2], strict=True))


@pytest.mark.parametrize("file", sorted(DATA.glob("[bv]*.*")), ids=lambda file: file.name)
def test_every_form_of_every_age_names_its_tests_and_speeds(file: Path) -> None:
    found = parse_bench(file.read_text(encoding="utf-8"), file.suffix[1:])
    assert [record.name for record in found] == ["pp128", "tg16"]
    assert [len(record.speeds) for record in found] == [3 if file.suffix in {".json", ".jsonl"} else 1] * 2
    assert all(1000 < fmean(record.speeds) < 20000 for record in found)
    assert {record.backends for record in found} <= {"CPU", ""}
    assert {record.gpu for record in found} == {""}


@pytest.mark.parametrize(("age", "form"), [("b3452", "json"), ("b6100", "jsonl"), ("v0.5.0-dev", "jsonl")])
def test_the_most_telling_form_that_it_knows_is_asked_for(age: str, form: str) -> None:
    assert program(age).form == form
    assert words(age)["-o" if "-o" in words(age) else "--output"] == form


@pytest.mark.parametrize(("age", "wanted"), [("b3452", "1"), ("b6100", "1"), ("v0.5.0-dev", "on")])
def test_flash_attention_is_said_in_the_words_of_the_age(age: str, wanted: str) -> None:
    assert words(age)["--flash-attn"] == wanted
    off = words(age, flash_attention=False, cache_type_v="f16")["--flash-attn"]
    assert off == {"1": "0", "on": "off"}[wanted]


@pytest.mark.parametrize("age", AGES)
def test_it_gets_the_sizes_of_the_profile(age: str) -> None:
    told = words(age, batch=256, ubatch=64, cache_type_k="f16", gpu_layers=33, work=Work({}, ROOM, repetitions=4))
    assert (told["--batch-size"], told["--ubatch-size"]) == ("256", "64")
    assert (told["--cache-type-k"], told["--cache-type-v"]) == ("f16", "q8_0")
    assert (told["--n-gpu-layers"], told["--repetitions"]) == ("33", "4")
    assert (told["--n-prompt"], told["--n-gen"]) == ("512", "64")
    assert "--threads" not in told


@pytest.mark.parametrize("age", AGES)
def test_a_model_of_vectors_reads_no_more_than_a_micro_batch_and_makes_nothing(age: str) -> None:
    told = words(age, "embedding", batch=256, ubatch=256)
    assert (told["--n-prompt"], told["--n-gen"], told["--embeddings"]) == ("256", "0", "1")


@pytest.mark.parametrize("word", ["-t", "--threads"])
def test_it_takes_as_many_threads_as_the_server(word: str) -> None:
    assert words("v0.5.0-dev", extra_arguments=(word, "3"))["--threads"] == "3"


def test_a_program_with_other_words_is_refused() -> None:
    with pytest.raises(CouldNotMeasure, match="has no word --model"):
        bench_words(BenchProgram("llama-bench", Help({})), profile("chat"), "m", LEAST)


def changed(**facts: object) -> str:
    first = (DATA / "b6100.jsonl").read_text(encoding="utf-8").splitlines()[0]
    return json.dumps({**json.loads(first), **facts})


@pytest.mark.parametrize(
    ("text", "form", "why"),
    [
        ("", "jsonl", "names no test"),
        ("", "json", "names no test"),
        ("[]", "json", "names no test"),
        ("a,b\n1,2", "csv", "names no test"),
        ("| a |\n| - |", "md", "names no test"),
        ("{", "jsonl", "no JSON"),
        ('[{"n_prompt": 1,]', "json", "no JSON"),
        ("[1]", "json", "no table"),
        ('{"n_prompt": 5}', "jsonl", "how fast"),
        (changed(samples_ts=[]), "jsonl", ""),
        (changed(samples_ts=[10.0, 0.0]), "jsonl", "pp128 measured nothing"),
        (changed(samples_ts=[10.0, float("inf")]), "jsonl", "pp128 measured nothing"),
        (changed(samples_ts=["fast"]), "jsonl", "how fast"),
        (changed(n_prompt=0), "jsonl", "without a name measured nothing"),
        ("| model | test | t/s |\n|-|-|-|\n| llama | pp512 | inf |", "md", "has a test 'pp512' with a speed 'inf'"),
    ],
)
def test_what_measured_nothing_is_refused(text: str, form: str, why: str) -> None:
    if not why:
        assert parse_bench(text, form)[0].speeds == pytest.approx((12492.188762,))
        return
    with pytest.raises(Unreadable, match=why):
        parse_bench(text, form)


def test_a_depth_and_both_at_once_are_part_of_the_name() -> None:
    assert parse_bench(changed(n_depth=4096), "jsonl")[0].name == "pp128@d4096"
    assert parse_bench(changed(n_gen=32), "jsonl")[0].name == "pp128+tg32"
    table = "| model | backend | test | t/s |\n| - | - | -: | -: |\n| llama | CUDA | tg128 @ d512 | 79.21 ± 0.04 |"
    (found,) = parse_bench(table, "md")
    assert (found.name, found.speeds, found.backends) == ("tg128@d512", (79.21,), "CUDA")


@pytest.mark.parametrize(
    ("facts", "where"),
    [
        ({"backends": "CPU", "gpu_info": ""}, "on CPU"),
        ({"backends": "BLAS", "gpu_info": "NVIDIA H100"}, "on BLAS"),
        ({"backends": "CUDA", "gpu_info": ""}, "on CUDA"),
    ],
)
def test_what_the_processor_computed_is_no_figure_of_a_gpu(facts: dict[str, object], where: str) -> None:
    with pytest.raises(CouldNotMeasure, match=where):
        require_gpu(parse_bench(changed(**facts), "jsonl"))


def test_a_gpu_that_computed_is_known_in_new_and_old_words() -> None:
    require_gpu(parse_bench(changed(backends="CUDA,BLAS", gpu_info="NVIDIA H100"), "jsonl"))
    old = (DATA / "b3452.json").read_text(encoding="utf-8")
    with pytest.raises(CouldNotMeasure, match="on nothing that it names"):
        require_gpu(parse_bench(old, "json"))
    told = old.replace('"cuda": false', '"cuda": true').replace('"gpu_info": ""', '"gpu_info": "Tesla T4"')
    require_gpu(parse_bench(told, "json"))


@given(st.text(max_size=200), st.sampled_from(FORMS))
def test_any_text_is_read_or_refused(text: str, form: str) -> None:
    with suppress(Unreadable):
        assert parse_bench(text, form)


@given(st.data(), st.sampled_from(sorted(DATA.glob("[bv]*.*"))))
def test_a_text_that_is_cut_off_names_no_test_that_it_does_not_hold(data: st.DataObject, file: Path) -> None:
    whole = file.read_text(encoding="utf-8")
    known = {record.name for record in parse_bench(whole, file.suffix[1:])}
    cut = whole[: data.draw(st.integers(0, len(whole)))]
    with suppress(Unreadable):
        assert {record.name for record in parse_bench(cut, file.suffix[1:])} <= known

from __future__ import annotations

from pathlib import Path

from hypothesis import example, given, settings
from hypothesis import strategies as st
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families as parse

from builder.performance.record import records_of_metrics, records_of_runs
from builder.performance.samples import Better, Family, Run
from builder.performance.samples import Metric as Figure
from builder.report.prometheus import exposition, write_exposition
from tests.unit.report_records import GPU, record, runs, subject
from tests.unit.report_soaks import soak


def families(text: str) -> dict[str, Metric]:
    return {family.name: family for family in parse(text)}


def test_every_figure_is_there_in_base_units_with_what_it_is_of() -> None:
    found = families(exposition(record()))
    labels, value = next(
        (sample.labels, sample.value)
        for sample in found["builder_bench_ttft_seconds"].samples
        if sample.labels["metric"] == "ttft/2k" and sample.labels["subject"] == "B"
    )
    assert labels == {
        "subject": "B",
        "profile": "chat",
        "image": "sha256:" + "b" * 64,
        "build": "b10995",
        "gpu": GPU.name,
        "metric": "ttft/2k",
        "statistic": "median",
    }
    assert 0.2 < value < 0.3
    memory = {sample.labels["metric"]: sample.value for sample in found["builder_bench_memory_bytes"].samples}
    assert 7e9 < memory["memory/gpu"] < 9e9
    assert found["builder_bench_ttft_seconds"].documentation == "Time to first token, median over runs."
    assert {found[f"builder_bench_{name}"].type for name in ("ttft_seconds", "memory_bytes", "outcome")} == {"gauge"}
    assert found["builder_bench_runs"].type == "counter"


def test_the_outcome_is_one_of_all_that_there_are() -> None:
    outcome = families(exposition(record(runs(8, {"ttft/10": 0.2}))))["builder_bench_outcome"]
    assert {sample.labels["outcome"]: sample.value for sample in outcome.samples} == {
        "not worse": 0,
        "worse": 1,
        "undecided": 0,
        "told": 0,
    }


def test_runs_that_were_set_aside_are_counted_apart() -> None:
    taken = runs(4)
    taken[0] = Run("A", 1, 0, taken[0].samples, {}, "hot")
    samples = families(exposition(record(taken)))["builder_bench_runs"].samples
    counted = {(sample.labels["subject"], sample.labels["counts"]): sample.value for sample in samples}
    assert counted == {("A", "yes"): 7, ("A", "no"): 1, ("B", "yes"): 8, ("B", "no"): 0}


def test_files_of_two_profiles_have_no_series_in_common() -> None:
    chat, vectors = (
        exposition(record(subjects=tuple(subject(name, f"b{name}", profile=profile) for name in "AB")))
        for profile in ("chat", "embedding")
    )
    series = [{line.rpartition(" ")[0] for line in text.splitlines() if line[:1] != "#"} for text in (chat, vectors)]
    assert not series[0] & series[1]


def test_a_soak_is_there_too() -> None:
    found = families(exposition(soak=soak()))
    assert found["builder_soak_requests"].samples[0].value == 300
    assert 0.7 < found["builder_soak_cache_hit_ratio"].samples[0].value < 0.8
    assert {sample.labels["check"] for sample in found["builder_soak_check"].samples} == {"errors", "memory"}


@settings(max_examples=40)
@example("", "RUNS", "", Family.LATENCY)
@example("outcome", "", "", Family.LATENCY)
@example("cups", "total", "", Family.LATENCY)
@example("", "", "", Family.LATENCY)
@given(st.text(max_size=12), st.text(max_size=6), st.text(max_size=20), st.sampled_from(Family))
def test_whatever_a_figure_is_called_the_file_can_be_read(name: str, unit: str, build: str, family: Family) -> None:
    runs_of_it = [Run(who, 1, place, {name: (2.0,)}) for place, who in enumerate("AB")]
    made = record(
        subjects=(subject("A", build), subject("B", "b2")),
        metrics=records_of_metrics([Figure(name, unit, Better.LOWER, family)]),
        runs=records_of_runs(runs_of_it),
        judgements=(),
    )
    found = families(exposition(made))
    assert any(sample.labels.get("metric") == name for family in found.values() for sample in family.samples)
    assert {sample.labels["build"] for sample in found["builder_bench_subject_info"].samples} == {build, "b2"}


def test_a_file_is_there_as_a_whole_and_readable_for_the_collector(tmp_path: Path) -> None:
    file = tmp_path / "bench.prom"
    write_exposition(file, record())
    write_exposition(file, record(), soak())
    assert [one.name for one in tmp_path.iterdir()] == ["bench.prom"]
    assert file.stat().st_mode & 0o777 == 0o644
    assert file.read_text().endswith("\n")

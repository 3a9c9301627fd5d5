"""What is built, judged and measured, on its way into the ledger."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from builder.channels.ledger.evidence import ImageEntry, RevisionEntry, UsedGpu
from builder.channels.ledger.ledger import Ledger, open_ledger
from builder.channels.ledger.values import digest_of
from builder.console import Reporter
from builder.engine.gpu import Gpu
from builder.engine.images import Image
from builder.engine.machine_facts import MachineFacts
from builder.errors import ExitCode, UsageError
from builder.gates.verdict import Outcome, Verdict, failed, passed, verdict_of
from builder.paths import Paths
from builder.performance.record import write_record
from builder.plan.plan import Variant
from builder.recording import Recorder, record_bench, record_build, record_image, record_verdicts, verdict_entry
from tests.unit.ledger_entries import NOON, after, digest, quick_folder
from tests.unit.plan_trees import NEW, plan
from tests.unit.report_records import record as measured

IMAGE = Image(digest("image"), ("llama:b1", "llama:candidate"), (), 1, {"a": "b"}, (), "", "amd64")
GPU = Gpu(0, "NVIDIA L4", "GPU-7", 1 << 30, "8.9", "580.1", None, None, None, None)
FACTS = MachineFacts("Xeon", 2, 1, "Debian", "6.1", "28", containerd_store=False, gpus=(GPU,), name="tower")


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    with quick_folder() as folder, open_ledger(folder / "ledger.sqlite") as ledger:
        yield ledger


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(tmp_path / "cache", tmp_path / "state")


def judged(gate: str = "smoke", *, good: bool = True, **changes: object) -> Verdict:
    checks = (passed("start", "It starts."), passed("stop", "It ends.") if good else failed("stop", "It hangs."))
    made = verdict_of(gate, "llama:b1", IMAGE.id, checks, measurements={"profile": "chat", "ms": 1.5}, seconds=2.0)
    return replace(made, **{"machine": FACTS, **changes})  # type: ignore[arg-type]


def test_a_verdict_is_kept_whole_with_its_gpu_and_its_machine(ledger: Ledger) -> None:
    entry = verdict_entry(judged(good=False), IMAGE, NOON, "another name")
    assert (entry.digest, entry.gate, entry.outcome, entry.at) == (IMAGE.id, "smoke", "fail", NOON)
    assert (entry.machine, entry.gpus) == ("tower", (UsedGpu("GPU-7", "NVIDIA L4", "580.1"),))
    assert entry.document["reasons"] == ["It hangs."]
    assert entry.document["checks"][1]["outcome"] == "fail"
    assert entry.document["measurements"] == {"profile": "chat", "ms": 1.5}
    record_verdicts(ledger, (entry,), IMAGE, containerd_store=False)
    assert ledger.verdicts.of(IMAGE.id) == (entry,)


def test_a_figure_that_is_no_number_costs_no_verdict(ledger: Ledger) -> None:
    entry = verdict_entry(judged(measurements={"profile": "chat", "ratio": math.nan, "most": math.inf}), IMAGE, NOON)
    assert entry.document["measurements"] == {"profile": "chat", "ratio": None, "most": None}
    record_verdicts(ledger, (entry,), IMAGE, containerd_store=False)
    assert ledger.verdicts.of(IMAGE.id) == (entry,)


def test_a_verdict_that_does_not_know_its_machine_is_this_ones() -> None:
    entry = verdict_entry(judged(machine=None, digest=None), IMAGE, NOON, "this one")
    assert (entry.machine, entry.gpus, entry.document["digest"]) == ("this one", (), IMAGE.id)


def test_an_id_is_a_configuration_only_in_the_classic_store(ledger: Ledger) -> None:
    record_image(ledger, IMAGE, containerd_store=True)
    assert ledger.images.all() == ()
    record_image(ledger, IMAGE, containerd_store=False)
    assert ledger.images.all() == (ImageEntry(IMAGE.id, references=IMAGE.references, labels={"a": "b"}),)
    record_image(ledger, replace(IMAGE, references=("llama:latest",)), containerd_store=False)
    assert ledger.images.named("llama:latest") == ledger.images.all()


def test_a_build_is_kept_once_with_its_revision(ledger: Ledger, tmp_path: Path) -> None:
    made = plan(tmp_path, NEW, variant=Variant.CPU)
    for minutes in (0, 5):
        record_build(ledger, made, IMAGE, after(minutes), "tower", 12.3456)
    (build,) = ledger.images.builds(IMAGE.id)
    assert (build.plan, build.commit, build.at, build.machine) == (made.digest, made.revision.commit, NOON, "tower")
    assert (build.document["seconds"], build.document["plan"]["tag"]) == (12.346, made.tag)
    assert [one.commit for one in ledger.images.revisions()] == [made.revision.commit]


def test_a_build_number_that_somebody_gave_otherwise_costs_no_build(ledger: Ledger, tmp_path: Path) -> None:
    made = plan(tmp_path, NEW, variant=Variant.CPU)
    known = RevisionEntry(str(made.revision.commit), 77)
    ledger.images.record_revision(known)
    record_build(ledger, made, IMAGE, NOON, "tower", 1)
    assert len(ledger.images.builds(IMAGE.id)) == 1
    assert ledger.images.revisions() == (known,)


def test_a_bench_is_kept_for_each_image_that_it_is_about(ledger: Ledger, tmp_path: Path) -> None:
    record, file = measured(), tmp_path / "record.json"
    write_record(record, file)
    for _ in range(2):
        record_bench(ledger, record, file, "tower")
    kept = ledger.verdicts.benchmarks()
    assert {one.digest for one in kept} == {one.image for one in record.subjects}
    assert len(kept) == len(record.subjects)
    assert {(one.file, one.content) for one in kept} == {(str(file), digest_of(file.read_bytes()))}
    (old,) = ledger.verdicts.benchmarks(record.subjects[0].image)
    assert (old.at, old.machine) == (record.ended, "tower")
    assert old.document["against"] == [record.subjects[1].image]
    assert old.document["figures"]["ttft/short"] > 0
    assert old.document["whole"] is True


def test_a_verdict_about_speed_brings_its_measurements(paths: Paths, tmp_path: Path) -> None:
    file = tmp_path / "record.json"
    write_record(measured(), file)
    recorder = Recorder(paths, Reporter())
    entry = verdict_entry(judged("performance", measurements={"record": str(file)}), IMAGE, NOON)
    recorder.verdict(entry, IMAGE, containerd_store=False)
    with open_ledger(paths.ledger) as ledger:
        assert len(ledger.verdicts.benchmarks()) == len(measured().subjects)
    assert not recorder.failed


def newer(paths: Paths) -> None:
    with open_ledger(paths.ledger):
        pass
    with sqlite3.connect(paths.ledger) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()


def test_a_ledger_that_takes_nothing_is_told_once_and_is_the_exit_status(
    paths: Paths, capsys: pytest.CaptureFixture[str]
) -> None:
    newer(paths)
    recorder = Recorder(paths, Reporter())
    recorder.look()
    for minutes in range(3):
        recorder.verdict(verdict_entry(judged(), IMAGE, after(minutes)), IMAGE, containerd_store=False)
    told = capsys.readouterr().err
    assert told.count("The ledger does not keep this.") == 1
    assert "is of version 99" in told
    assert recorder.failed
    assert recorder.exit_code(ExitCode.DONE) is ExitCode.MACHINE
    assert recorder.exit_code(ExitCode.SMOKE) is ExitCode.SMOKE


def test_a_folder_that_cannot_be_made_is_told_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "state").write_text("")
    recorder = Recorder(Paths(tmp_path / "cache", tmp_path / "state"), Reporter())
    recorder.look()
    assert recorder.failed
    assert "BUILDER_STATE" in capsys.readouterr().err


def test_what_cannot_be_written_is_not_half_written(paths: Paths) -> None:
    def write(ledger: Ledger) -> None:
        record_image(ledger, IMAGE, containerd_store=False)
        raise UsageError("The second half is not to be had.", "Give up.")

    recorder = Recorder(paths, Reporter())
    recorder.keep(write)
    assert recorder.failed
    with open_ledger(paths.ledger) as ledger:
        assert ledger.images.all() == ()


def test_all_is_well_where_all_was_kept(paths: Paths) -> None:
    recorder = Recorder(paths, Reporter())
    recorder.look()
    recorder.verdict(verdict_entry(judged(), IMAGE, NOON + timedelta(1)), IMAGE, containerd_store=True)
    assert not recorder.failed
    assert recorder.exit_code(ExitCode.DONE) is ExitCode.DONE
    with open_ledger(paths.ledger) as ledger:
        assert [one.outcome for one in ledger.verdicts.of(IMAGE.id)] == [Outcome.PASS]

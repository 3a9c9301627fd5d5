from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builder.engine.gpu import Gpu
from builder.engine.machine_facts import MachineFacts
from builder.errors import SourceError
from builder.performance.archive import Archive, history, sides_of
from builder.performance.comparable import comparable
from builder.performance.comparison import Outcome, compare
from builder.performance.metrics import metric
from builder.performance.record import (
    JudgementRecord,
    MachineRecord,
    ModelRecord,
    Record,
    SubjectRecord,
    read_record,
    record_of_rules,
    records_of_metrics,
    records_of_runs,
    write_record,
)
from builder.performance.rules import Rules
from builder.performance.samples import Run
from tests.unit.performance_runs import asked, measured

_NAMES = ("ttft/2k", "throughput/10")
_START = datetime(2026, 10, 1, 12, tzinfo=UTC)
_MACHINE = MachineRecord(
    host="h1", processor="EPYC 7502", cores=2, memory=2**34, system="Debian", kernel="6.1.0", engine="27.0"
)
_GPUS = (Gpu(index=0, name="RTX 3090", uuid="GPU-1", memory=2**34, compute_capability="8.6", driver="580.65"),)


def _subject(name: str, **other: Any) -> SubjectRecord:
    known = {
        "name": name,
        "reference": "local-ai-llama:candidate",
        "image": "sha256:" + name * 4,
        "repository": "local-ai-llama",
        "channel": "candidate",
        "build": f"b1099{ord(name) % 10}",
        "profile": "chat",
        "settings": {"ubatch": "128"},
        "model": ModelRecord(name="m.gguf", digest="sha256:1", size=1),
    }
    return SubjectRecord(**known | other)


def _record(**other: Any) -> Record:
    runs = measured(4, dict.fromkeys(_NAMES, 0.0))
    rules = Rules()
    known = {
        "product": "0.1.0",
        "started": _START,
        "ended": _START + timedelta(minutes=3),
        "subjects": (_subject("A"), _subject("B")),
        "machine": _MACHINE,
        "arguments": {"users": "10"},
        "metrics": records_of_metrics(metric(name) for name in _NAMES),
        "rules": record_of_rules(rules),
        "runs": records_of_runs(runs),
        "judgements": tuple(JudgementRecord.of(one) for one in compare(runs, asked(*_NAMES), rules)),
        "outcome": Outcome.NOT_WORSE,
    }
    return Record(**known | other)


def test_a_record_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    record = _record()
    write_record(record, tmp_path / "r.json")
    again = read_record(tmp_path / "r.json")
    assert again == record
    assert again.rules.rules() == Rules()
    assert compare(again.measured_runs(), asked(*_NAMES), Rules()) == compare(
        record.measured_runs(), asked(*_NAMES), Rules()
    )


def test_it_is_one_json_document_without_words_that_json_does_not_have(tmp_path: Path) -> None:
    runs = [Run("A", 1, 0, {"ttft/2k": (1.0, math.nan, math.inf)}, {"gpu_clock_mhz": math.nan}, "the server died")]
    write_record(_record(runs=records_of_runs(runs), judgements=()), tmp_path / "r.json")
    document = json.loads((tmp_path / "r.json").read_text(), parse_constant=pytest.fail)
    assert document["schema_version"] == 1
    assert document["runs"][0]["samples"]["ttft/2k"] == [1.0, None, None]
    again = read_record(tmp_path / "r.json").measured_runs()[0]
    assert math.isnan(again.samples["ttft/2k"][1])
    assert again.set_aside == "the server died"


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.builds(
            Run,
            st.sampled_from("AB"),
            st.integers(1, 9),
            st.integers(0, 99),
            st.dictionaries(st.text(max_size=8), st.lists(st.floats(allow_nan=False, allow_infinity=False)).map(tuple)),
            st.dictionaries(st.text(max_size=8), st.floats(allow_nan=False, allow_infinity=False)),
            st.text(st.characters(codec="utf-8")),
        ),
        max_size=4,
    )
)
def test_whatever_runs_there_were_they_come_back(runs: list[Run]) -> None:
    record = _record(runs=records_of_runs(runs), judgements=())
    again = Record.model_validate_json(record.model_dump_json(), strict=True)
    assert list(again.measured_runs()) == runs


def test_a_record_that_is_not_whole_says_so(tmp_path: Path) -> None:
    interrupted = _record(ended=None, interrupted="interrupted by SIGINT in round 3", outcome=None)
    write_record(interrupted, tmp_path / "r.json")
    again = read_record(tmp_path / "r.json")
    assert not again.whole
    assert again.interrupted == "interrupted by SIGINT in round 3"
    assert _record().whole


def _changed(change: dict[str, Any]) -> str:
    return json.dumps(json.loads(_record().model_dump_json()) | change)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (_changed({"schema_version": 2}), "a record of version 2, and this program reads 1"),
        (_changed({"colour": "red"}), "no record: colour"),
        (_changed({"started": "yesterday"}), "no record: started"),
        (_changed({"runs": [{"subject": "A"}]}), "no record: runs.0"),
        (_changed({"subjects": []}), "no record: subjects"),
        (_changed({"started": "2026-10-01T12:00:00"}), "no record: started"),
        (_record().model_dump_json()[:-40], "no JSON document"),
        ("", "no JSON document"),
        ("[]", "no record"),
    ],
)
def test_what_is_no_record_of_this_version_is_refused(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "r.json").write_text(text)
    with pytest.raises(SourceError, match=words) as caught:
        read_record(tmp_path / "r.json")
    assert caught.value.remedy


def test_the_machine_is_recorded_with_its_gpus() -> None:
    facts = MachineFacts("EPYC", 2, 2**34, "Debian", "6.1", "27.0", containerd_store=False, gpus=_GPUS)
    made = MachineRecord.of(facts, "h1")
    assert made.gpus[0].name == "RTX 3090"
    assert (made.host, made.cores, made.gpus[0].driver) == ("h1", 2, "580.65")


def _on_gpu(**other: str) -> MachineRecord:
    facts = MachineFacts("EPYC", 2, 2**34, "Debian", "6.1", "27.0", containerd_store=False, gpus=_GPUS)
    machine = MachineRecord.of(facts, "h1")
    return machine.model_copy(update={"gpus": (machine.gpus[0].model_copy(update=other),)})


def test_the_same_machine_and_work_are_comparable_but_for_the_time_between() -> None:
    later = _record(started=_START + timedelta(days=3))
    found = comparable(_record(), later)
    assert found.sound
    assert len(found.caveats) == 1
    assert found.caveats[0].startswith("They were not measured by turns, 3 days apart: ")


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ({"machine": _on_gpu()}, {"machine": _on_gpu(name="RTX 4090")}, "The GPUs differ: RTX 3090"),
        ({"machine": _on_gpu()}, {}, "none after"),
        ({}, {"machine": _MACHINE.model_copy(update={"processor": "Xeon"})}, "The processors differ"),
        ({}, {"machine": _MACHINE.model_copy(update={"processor": ""})}, "is not known"),
        ({}, {"machine": _MACHINE.model_copy(update={"cores": 8})}, "cores differ: 2 before, 8"),
        ({}, {"arguments": {"users": "4"}}, "Other things were measured: users 10, 4"),
        ({}, {"metrics": records_of_metrics([metric("vectors/4")])}, "No figure is in both"),
        (
            {},
            {"subjects": (_subject("A", model=ModelRecord(name="n.gguf", digest="sha256:2", size=1)),)},
            "The models differ: m.gguf before, n.gguf",
        ),
        ({}, {"subjects": (_subject("B"),)}, "no subject A"),
    ],
)
def test_an_unsound_comparison_is_refused_with_its_reason(
    before: dict[str, Any], after: dict[str, Any], words: str
) -> None:
    found = comparable(_record(**before), _record(**after))
    assert not found.sound
    assert any(words in refusal for refusal in found.refusals)


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ({"machine": _on_gpu()}, {"machine": _on_gpu(driver="570.1")}, "Another driver: 580.65 before, 570.1 after"),
        ({"machine": _on_gpu()}, {"machine": _on_gpu(uuid="GPU-2")}, "Another GPU of the same machine"),
        ({}, {"machine": _MACHINE.model_copy(update={"host": "h2"})}, "two machines"),
        ({}, {"machine": _MACHINE.model_copy(update={"kernel": "6.12"})}, "Another kernel"),
        ({}, {"subjects": (_subject("A", settings={"ubatch": "64"}),)}, "The profiles differ: ubatch 128 and 64"),
        ({}, {"product": "0.2.0"}, "Two versions"),
        ({}, {"ended": None, "interrupted": "killed"}, "The second record is not whole: killed"),
    ],
)
def test_a_sound_comparison_says_what_else_may_stand_behind_it(
    before: dict[str, Any], after: dict[str, Any], words: str
) -> None:
    found = comparable(_record(**before), _record(**after))
    assert found.sound
    assert any(words in caveat for caveat in found.caveats)


def test_records_are_listed_in_order_of_time_with_what_they_say(tmp_path: Path) -> None:
    archive = Archive(tmp_path / "records")
    assert archive.entries() == ()
    late = archive.write(_record(started=_START + timedelta(hours=1)))
    early = archive.write(_record())
    entries = archive.entries()
    assert [entry.file for entry in entries] == [early.name, late.name]
    assert early.name.startswith("20261001T120000Z-b10995-vs-b10996-")
    assert (entries[0].outcome, entries[0].whole, entries[0].machine) == (Outcome.NOT_WORSE, True, "EPYC 7502")
    assert entries[0].sides[0].figures["ttft/2k"] == pytest.approx(1.0, abs=0.05)


def test_the_index_follows_the_folder(tmp_path: Path) -> None:
    archive = Archive(tmp_path)
    first = archive.write(_record(ended=None))
    assert not archive.entries()[0].whole
    archive.write(_record(), first)
    assert archive.entries()[0].whole
    second = archive.write(_record())
    (tmp_path / ".index.json").write_text("{")
    assert len(archive.entries()) == 2
    second.unlink()
    assert [entry.file for entry in archive.entries()] == [first.name]


def test_an_index_of_an_earlier_version_is_made_anew(tmp_path: Path) -> None:
    archive = Archive(tmp_path)
    archive.write(_record())
    entries = archive.entries()
    index = json.loads((tmp_path / ".index.json").read_text())
    for side in index["entries"][0]["sides"]:
        del side["model"], side["asked"], side["work"]
    (tmp_path / ".index.json").write_text(json.dumps({**index, "version": 1}))
    assert archive.entries() == entries


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"arguments": {"users": "10", "times": "short 9", "effort": "thorough"}}, True),
        ({"arguments": {"users": "10", "prompts": "short 100, near 400"}}, False),
        ({"subjects": (_subject("A", settings={"context": "4096"}),)}, False),
        ({"subjects": (_subject("A", model=ModelRecord(name="m", digest="sha256:9", size=1)),)}, False),
    ],
)
def test_the_work_of_two_records_is_the_same_where_figures_may_be_drawn_as_one_line(
    change: dict[str, Any], same: bool
) -> None:
    one, other = sides_of(_record())[0], sides_of(_record(**change))[0]
    assert (one.work == other.work) is same
    assert one.model == "m.gguf"


def test_a_damaged_record_is_listed_with_its_reason(tmp_path: Path) -> None:
    archive = Archive(tmp_path)
    good = archive.write(_record())
    (tmp_path / "20260101T000000Z-x.json").write_text("{")
    entries = archive.entries()
    assert "no JSON document" in entries[0].damaged
    assert (entries[1].file, entries[1].damaged) == (good.name, "")


def test_history_is_of_one_repository_and_channel_in_order_of_time(tmp_path: Path) -> None:
    archive = Archive(tmp_path)
    for hour, channel in ((2, "latest"), (1, "candidate"), (0, "latest")):
        sides = (_subject("A", channel=channel), _subject("B", repository="other"))
        archive.write(_record(started=_START + timedelta(hours=hour), subjects=sides))
    archive.write(_record(ended=None))
    found = history(archive.entries(), "local-ai-llama", "latest")
    assert [entry.started for entry, _ in found] == [_START, _START + timedelta(hours=2)]
    assert len(history(archive.entries(), "local-ai-llama")) == 3


def test_a_record_is_found_by_the_beginning_of_its_name(tmp_path: Path) -> None:
    archive = Archive(tmp_path)
    first = archive.write(_record())
    second = archive.write(_record(started=_START + timedelta(hours=1)))
    assert archive.find("20261001T12") == first
    assert archive.find(second.name) == second
    assert archive.find("latest") == second
    with pytest.raises(SourceError, match="2 records begin"):
        archive.find("2026")
    for nothing in ("2027", "", "../x"):
        with pytest.raises(SourceError):
            archive.find(nothing)


def test_a_name_holds_no_path(tmp_path: Path) -> None:
    sides = (_subject("A", build="", reference="../../etc/x y"), _subject("B", build="", reference="ü:1"))
    file = Archive(tmp_path).write(_record(subjects=sides))
    assert file.parent == tmp_path
    assert file.exists()


def test_thousands_of_records_stay_quick_to_list(tmp_path: Path) -> None:
    archive = Archive(tmp_path)
    content = archive.write(_record(runs=(), judgements=())).read_bytes()
    for number in range(2000):
        (tmp_path / f"20260101T{number:06}Z-x.json").write_bytes(content)
    assert len(archive.entries()) == 2001
    took = []
    for _ in range(5):
        began = perf_counter()
        assert len(archive.entries()) == 2001
        took.append(perf_counter() - began)
    assert min(took) < 1.5

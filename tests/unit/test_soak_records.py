from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from builder.cli.app import main
from builder.errors import ExitCode
from builder.performance.soak.archive import entries, store_of
from builder.performance.soak.record import CheckRecord, SoakRecord, write_soak
from tests.unit.report_records import STARTED
from tests.unit.report_soaks import series, soak


@pytest.fixture
def soaks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of soaks of a person who has none yet."""
    monkeypatch.setenv("BUILDER_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("BUILDER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "80")
    return tmp_path / "state" / "soaks"


def kept(folder: Path, days: int = 0, **other: Any) -> tuple[Path, SoakRecord]:
    record = soak(series(120), started=STARTED + timedelta(days=days), **other)
    file = store_of(folder).place(record.started, (record.subject.build, record.subject.profile))
    write_soak(record, file)
    return file, record


def test_records_are_listed_in_order_of_time_and_what_is_not_whole_or_damaged_says_so(
    soaks: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    failing = CheckRecord(name="memory", outcome="fail", detail="It leaks.")
    later, _ = kept(soaks, 2, checks=(failing,), outcome="fail")
    kept(soaks)
    kept(soaks, 1, ended=None, interrupted="It was interrupted: KeyboardInterrupt.", checks=(), outcome=None)
    (soaks / "20301231T000000Z-broken.json").write_text("{")
    found = tuple(entries(soaks))
    assert [entry.outcome for entry in found] == ["pass", None, "fail", None]
    assert [entry.whole for entry in found] == [True, False, True, False]
    assert (found[2].file, found[2].failed) == (later.name, ("memory",))
    assert "is no JSON document" in found[3].damaged
    assert main(["soak", "list"]) == ExitCode.DONE
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    shown = " ".join(" ".join(lines).split())
    for words in ("20261001T120000Z", "30 a minute, 10 min", "pass", "not whole", "fail (memory)", "damaged"):
        assert words in shown


def test_a_listing_is_a_document_too(soaks: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["soak", "list", "--json"]) == ExitCode.DONE
    assert json.loads(capsys.readouterr().out) == {"schema_version": 1, "records": []}
    file, record = kept(soaks)
    assert main(["soak", "list", "--json"]) == ExitCode.DONE
    (entry,) = json.loads(capsys.readouterr().out)["records"]
    assert (entry["file"], entry["image"]) == (file.name, record.subject.image)


def test_a_record_is_shown_again_and_written_in_other_forms(
    soaks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept(soaks)
    file, record = kept(soaks, 1, notes=("This is the newest.",))
    forms = {name: tmp_path / f"soak.{name}" for name in ("markdown", "html", "prometheus")}
    words = [word for name, place in forms.items() for word in (f"--{name}", str(place))]
    assert main(["soak", "show", *words]) == ExitCode.DONE
    assert "This is the newest." in capsys.readouterr().out
    assert "### ✅ b10995 held the load" in forms["markdown"].read_text()
    assert forms["html"].read_text().startswith("<!DOCTYPE html>")
    assert "builder_soak_outcome{" in forms["prometheus"].read_text()
    assert main(["soak", "show", file.name[:8], "--json"]) == ExitCode.DONE
    told = json.loads(capsys.readouterr().out)
    assert told["file"] == str(file)
    assert SoakRecord.model_validate_json(json.dumps(told["record"]), strict=True) == record


def test_a_record_that_is_not_there_and_a_place_that_cannot_be_written_are_refused(
    soaks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["soak", "show"]) == ExitCode.SOURCE
    assert "There is no record yet" in capsys.readouterr().err
    kept(soaks)
    kept(soaks)
    assert main(["soak", "show", "2026"]) == ExitCode.SOURCE
    assert "2 records begin with '2026'" in capsys.readouterr().err
    assert main(["soak", "show", "--html", str(tmp_path / "no" / "page.html")]) == ExitCode.USAGE
    assert "There is no folder" in capsys.readouterr().err
    assert main(["soak", "show", "--html", str(tmp_path)]) == ExitCode.USAGE
    assert "is a folder" in capsys.readouterr().err
